package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.DenseExport;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.internal.reference.ReferenceBackend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model directory in, a model directory out. */
class ModelFolderTest {
    private static final int ROWS = 400;
    private static final int COLUMNS = 16;
    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String OUTPUT = "lm_head.weight";
    private static final String FIRST = "model-00001-of-00003.safetensors";
    private static final String SECOND = "model-00002-of-00003.safetensors";
    private static final String THIRD = "model-00003-of-00003.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final String CONFIG = "{\n  \"vocab_size\": 400,\n  \"x\": Infinity\n}\n";

    @TempDir
    Path directory;

    private Path model;
    private Path small;

    private static Tensor tensor(String name, int seed, int rows) {
        return HeadFixture.tensor(name, SeededData.powerLaw(seed, rows, COLUMNS, 0.5), rows, COLUMNS);
    }

    @BeforeEach
    void makeModel() throws IOException {
        model = Files.createDirectory(directory.resolve("model"));
        small = directory.resolve("small");
        Map<String, String> format = Map.of("format", "pt");
        SafetensorsWriter.write(model.resolve(FIRST), List.of(tensor(EMBEDDING, 1, ROWS), tensor("a", 2, 3)), format);
        SafetensorsWriter.write(model.resolve(SECOND), List.of(tensor("b", 3, 5)), Map.of("format", "second"));
        SafetensorsWriter.write(model.resolve(THIRD), List.of(tensor(OUTPUT, 4, ROWS), tensor("c", 5, 2)), format);
        Files.writeString(
                model.resolve(INDEX),
                "{\"metadata\":{\"total_size\":1,\"kept\":2},\"weight_map\":{\"%s\":\"%s\",\"a\":\"%s\",\"b\":\"%s\",\"%s\":\"%s\",\"c\":\"%s\"}}"
                        .formatted(EMBEDDING, FIRST, FIRST, SECOND, OUTPUT, THIRD, THIRD));
        Files.writeString(model.resolve("config.json"), CONFIG);
        Files.writeString(model.resolve("tokenizer.json"), "{}");
        Files.writeString(model.resolve("pytorch_model.bin"), "old");
        Files.writeString(
                Files.createDirectories(model.resolve("1_Pooling")).resolve("config.json"), "{\"pooling\":1}");
        Files.writeString(Files.createDirectories(model.resolve(".git")).resolve("HEAD"), "x");
    }

    private List<String> compress(CompressionJob job) {
        List<String> told = new ArrayList<>();
        CompressionOptions options = CompressionOptions.paper().withMethod(Method.SVD);
        GroupReduce.compress(job.withOptions(options), new ReferenceBackend(), Progress.NONE, told::add);
        return told;
    }

    private static Set<String> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile)
                    .map(file -> folder.relativize(file).toString())
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    private static Map<String, String> metadata(Path file) {
        try (Safetensors opened = Safetensors.open(file)) {
            return opened.metadata();
        }
    }

    private void export(Path from, Path to) {
        try (CompressedFile opened = CompressedFile.open(from);
                OutputFile claimed = OutputFile.claimDirectory(to, from, opened.files(), false)) {
            DenseExport.writeDirectory(opened, claimed);
        }
    }

    @Test
    void shardsIndexAndCompanionsKeepTheirNames() throws IOException {
        List<String> told = compress(CompressionJob.of(model, small));
        assertTrue(told.stream().anyMatch(line -> line.contains("Not copied") && line.contains("pytorch_model.bin")));
        assertEquals(
                Set.of(FIRST, SECOND, THIRD, INDEX, "config.json", "tokenizer.json", "1_Pooling/config.json"),
                files(small));
        assertEquals("pt", metadata(small.resolve(THIRD)).get("format"));
        assertArrayEquals(Files.readAllBytes(model.resolve(SECOND)), Files.readAllBytes(small.resolve(SECOND)));
        String index = Files.readString(small.resolve(INDEX));
        assertTrue(index.contains("\"kept\" : 2") && index.contains("\"" + OUTPUT + ".codes\" : \"" + THIRD), index);
        assertFalse(index.contains("\"total_size\" : 1,"), index);
        String config = Files.readString(small.resolve("config.json"));
        assertTrue(config.contains("\"quant_method\": \"groupreduce\"") && config.endsWith("Infinity\n}\n"), config);
        try (CompressedFile opened = CompressedFile.open(small)) {
            assertEquals(Set.of(EMBEDDING, OUTPUT), opened.matrices().keySet());
            assertEquals(Set.of("a", "b", "c"), opened.copied().keySet());
            long bytes = 0;
            for (String shard : List.of(FIRST, THIRD)) {
                bytes += Files.size(small.resolve(shard));
            }
            // The copied tensors have 5 rows, an entry each in the headers, and metadata in two of them.
            long matrices =
                    opened.require(EMBEDDING).bytes() + opened.require(OUTPUT).bytes();
            assertTrue(matrices < bytes - 5L * COLUMNS * Float.BYTES && matrices > bytes - 700, matrices + " " + bytes);
        }
        try (SoftmaxHead head = SoftmaxHead.open(small);
                EmbeddingTable table = EmbeddingTable.open(small)) {
            assertEquals(ROWS, head.vocabularySize());
            assertEquals(COLUMNS, table.hiddenSize());
        }
    }

    @Test
    void thePlainModelComesBackUnderTheSameNames() throws IOException {
        Path plain = directory.resolve("plain");
        compress(CompressionJob.of(model, small));
        export(small, plain);
        assertEquals(files(small), files(plain));
        assertEquals(CONFIG, Files.readString(plain.resolve("config.json")));
        try (Model before = Model.open(model);
                Model after = Model.open(plain)) {
            assertEquals(before.tensors().keySet(), after.tensors().keySet());
            for (String name : before.tensors().keySet()) {
                assertEquals(
                        before.fileOf(name).getFileName(), after.fileOf(name).getFileName());
                assertArrayEquals(
                        before.require(name).shape(), after.require(name).shape());
            }
            assertArrayEquals(before.require("c").floats(), after.require("c").floats());
            assertEquals("second", after.metadata(plain.resolve(SECOND)).get("format"));
        }
    }

    @Test
    void aCompressedDirectoryTakesASecondMatrix() {
        compress(CompressionJob.of(model, small).withTensors(List.of(OUTPUT)));
        assertThrows(InvalidDataException.class, () -> compress(CompressionJob.of(small, directory.resolve("x"))));
        Path both = directory.resolve("both");
        compress(CompressionJob.of(small, both).withTensors(List.of(EMBEDDING)));
        Path atOnce = directory.resolve("atOnce");
        compress(CompressionJob.of(model, atOnce));
        try (CompressedFile one = CompressedFile.open(both);
                CompressedFile other = CompressedFile.open(atOnce)) {
            assertEquals(other.matrices().keySet(), one.matrices().keySet());
            assertEquals(
                    other.fileOf(EMBEDDING).getFileName(), one.fileOf(EMBEDDING).getFileName());
            assertEquals(other.require(OUTPUT).bytes(), one.require(OUTPUT).bytes());
        }
    }

    @Test
    void whatIsNotAModelIsNotReplaced() throws IOException {
        Files.writeString(Files.createDirectory(small).resolve("mine.txt"), "x");
        CompressionJob job = CompressionJob.of(model, small);
        refused(FileAccessException.class, job, "exists already", "--force");
        refused(FileAccessException.class, job.withOverwrite(true), "only a directory with a model");
        assertEquals(Set.of("mine.txt"), files(small));
        Files.delete(small.resolve("mine.txt"));
        Files.delete(small);
        compress(job);
        byte[] before = Files.readAllBytes(small.resolve(THIRD));
        refused(FileAccessException.class, job, "exists already");
        compress(job.withOverwrite(true));
        assertArrayEquals(before, Files.readAllBytes(small.resolve(THIRD)));
        Path counts = Files.writeString(small.resolve("counts.txt"), "1\n".repeat(ROWS));
        refused(InvalidDataException.class, job.withOverwrite(true).withCounts(counts), "counts.txt", "which is read");
        assertTrue(Files.exists(counts));
        refused(InvalidDataException.class, CompressionJob.of(model, model.resolve("inside")), "lie in each other");
        refused(InvalidDataException.class, CompressionJob.of(model, directory), "lie in each other");
        assertEquals(Set.of("model", "small"), names(directory));
    }

    /** As a download cache has it: links to files without endings. The output's copy of a file that none may write to is changed. */
    @Test
    void linksAreFollowedAndWhatIsReadOnlyIsCopied() throws IOException {
        Path blobs = Files.createDirectory(directory.resolve("blobs"));
        Path linked = Files.createDirectory(directory.resolve("linked"));
        for (String name : List.of(FIRST, SECOND, THIRD, INDEX, "config.json", "tokenizer.json")) {
            Path blob = blobs.resolve(Integer.toHexString(name.hashCode()));
            Files.move(model.resolve(name), blob);
            Files.createSymbolicLink(
                    linked.resolve(name), Path.of("..", "blobs").resolve(blob.getFileName()));
        }
        Path config = linked.resolve("config.json").toRealPath();
        assertTrue(config.toFile().setReadOnly());
        compress(CompressionJob.of(linked, small));
        assertTrue(Files.readString(small.resolve("config.json")).contains("groupreduce"));
        assertTrue(
                Files.getPosixFilePermissions(small.resolve("config.json")).contains(PosixFilePermission.OWNER_WRITE));
        assertEquals(CONFIG, Files.readString(config));
        for (String name : files(small)) {
            assertFalse(Files.isSymbolicLink(small.resolve(name)), name);
        }
    }

    /** The output repeats the embedding in a shard of its own, and its bias lies in a third one. */
    @Test
    void aShardThatIsEmptyThenIsGone() throws IOException {
        float[] same = SeededData.powerLaw(1, ROWS, COLUMNS, 0.5);
        SafetensorsWriter.write(
                model.resolve(THIRD), List.of(HeadFixture.tensor(OUTPUT, same, ROWS, COLUMNS)), Map.of());
        SafetensorsWriter.write(
                model.resolve(SECOND),
                List.of(HeadFixture.tensor("lm_head.bias", Arrays.copyOf(same, ROWS), ROWS)),
                Map.of());
        Files.writeString(
                model.resolve(INDEX),
                "{\"weight_map\":{\"%s\":\"%s\",\"a\":\"%s\",\"lm_head.bias\":\"%s\",\"%s\":\"%s\"}}"
                        .formatted(EMBEDDING, FIRST, FIRST, SECOND, OUTPUT, THIRD));
        compress(CompressionJob.of(model, small));
        assertFalse(Files.exists(small.resolve(THIRD)));
        try (CompressedFile opened = CompressedFile.open(small)) {
            assertEquals(Map.of(OUTPUT, EMBEDDING), opened.tied());
            assertArrayEquals(
                    Arrays.copyOf(same, ROWS), opened.softmaxBias(OUTPUT).orElseThrow());
        }
        Path plain = directory.resolve("plain");
        export(small, plain);
        try (Model after = Model.open(plain)) {
            assertEquals(
                    Set.of(EMBEDDING, OUTPUT, "a", "lm_head.bias"),
                    after.tensors().keySet());
            assertEquals(plain.resolve(FIRST), after.fileOf(OUTPUT));
        }
    }

    @Test
    void aFailureLeavesNothing() throws IOException {
        Files.writeString(model.resolve("config.json"), "[]");
        assertThrows(GroupReduceException.class, () -> compress(CompressionJob.of(model, small)));
        Files.writeString(model.resolve("config.json"), CONFIG);
        compress(CompressionJob.of(model, small));
        Files.writeString(small.resolve("config.json"), "{");
        assertThrows(GroupReduceException.class, () -> export(small, directory.resolve("plain")));
        assertEquals(Set.of("model", "small"), names(directory));
    }

    private void refused(Class<? extends GroupReduceException> type, CompressionJob job, String... parts) {
        GroupReduceException failure = assertThrows(type, () -> compress(job));
        for (String part : parts) {
            assertTrue(failure.getMessage().contains(part), failure.getMessage());
        }
    }

    private static Set<String> names(Path folder) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(file -> file.getFileName().toString()).collect(Collectors.toCollection(TreeSet::new));
        }
    }
}
