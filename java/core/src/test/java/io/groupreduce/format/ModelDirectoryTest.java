package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.i32;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which files of a directory are read as the model, which are refused, and what is said. */
class ModelDirectoryTest {
    private static final String INDEX = "model.safetensors.index.json";
    private static final String FIRST = "model-00001-of-00002.safetensors";
    private static final String SECOND = "model-00002-of-00002.safetensors";

    @TempDir
    private Path directory;

    /** A file with one tensor of that name and value. */
    private Path save(String file, String tensor, int value) {
        Path path = directory.resolve(file);
        try {
            Files.createDirectories(path.getParent());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        SafetensorsWriter.write(path, List.of(i32(tensor, value)), Map.of());
        return path;
    }

    private Path index(String name, String... tensorsAndFiles) {
        StringBuilder map = new StringBuilder();
        for (int i = 0; i < tensorsAndFiles.length; i += 2) {
            map.append(i == 0 ? "" : ",");
            map.append("\"%s\":\"%s\"".formatted(tensorsAndFiles[i], tensorsAndFiles[i + 1]));
        }
        return write(directory, name, "{\"weight_map\":{" + map + "}}");
    }

    private static void holds(Path input, String tensors, String... notes) {
        try (Model model = Model.open(input)) {
            assertEquals(tensors, String.join(" ", model.tensors().keySet()));
            assertEquals(notes.length, model.notes().size(), model.notes().toString());
            for (int i = 0; i < notes.length; i++) {
                String note = model.notes().get(i);
                FormatFixtures.assertSentence(note);
                assertEquals(true, note.contains(notes[i]), note);
            }
        }
    }

    private void refused(String... parts) {
        assertFails(InvalidDataException.class, () -> Model.open(directory), (Object[]) parts);
    }

    @ParameterizedTest
    @CsvSource({
        "model-00001-of-00002, model-00002-of-00002",
        "model-00000-of-00002, model-00001-of-00002",
        "model-00001-of-000002, model-00002-of-000002",
        "model.fp16-00001-of-00002, model.fp16-00002-of-00002",
        "diffusion_pytorch_model-00001-of-00002.fp16, diffusion_pytorch_model-00002-of-00002.fp16",
        "consolidated-1-of-2, consolidated-2-of-2"
    })
    void allShardsWithoutAnIndexAreOneModel(String first, String second) {
        save(first + ".safetensors", "a", 1);
        refused(
                directory.toString(),
                "1 of 2 shards and no index",
                "download what is missing: \"" + second + ".safetensors\".");
        save(second + ".safetensors", "b", 2);
        holds(directory, "a b");
        save("optimizer.safetensors", "a", 3);
        holds(directory, "a b", "\"optimizer.safetensors\", which is not part of the model");
        save(second + ".safetensors", "a", 2);
        assertFails(MalformedFileException.class, () -> Model.open(directory), directory, "\"a\" in two shards");
    }

    @Test
    void manyMissingShardsAreNamedInShort() {
        save("model-00003-of-99999.safetensors", "a", 1);
        refused(
                "1 of 99999 shards",
                "\"model-00001-of-99999.safetensors\"",
                "\"model-00005-of-99999.safetensors\" and more.");
        save("model-00002-of-00001.safetensors", "a", 1);
        refused("two models");
    }

    @Test
    void aShardBeyondTheirCountIsRefused() {
        save(FIRST, "a", 1);
        save(SECOND, "b", 1);
        save("model-00003-of-00002.safetensors", "c", 1);
        refused("3 of 2 shards and no index; remove what is not part");
    }

    @Test
    void oneShardOfOneIsAModel() {
        Path only = save("model-00001-of-00001.safetensors", "a", 1);
        holds(directory, "a");
        holds(only, "a");
    }

    @Test
    void aShardIsNoModel() {
        Path first = save(FIRST, "a", 1);
        assertFails(InvalidDataException.class, () -> Model.open(first), first, "one of several shards", "directory");
        Path listed = save("a.safetensors", "b", 1);
        index("b.safetensors.index.json", "b", "a.safetensors", "c", "c.safetensors");
        assertFails(InvalidDataException.class, () -> Model.open(listed), listed, "one of several shards");
        index("b.safetensors.index.json", "b", "a.safetensors");
        holds(listed, "b");
        write(directory, "b.safetensors.index.json", "{");
        holds(listed, "b");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                INDEX,
                "consolidated.safetensors.index.json",
                "diffusion_pytorch_model.safetensors.index.json",
                "diffusion_pytorch_model.safetensors.index.fp16.json",
                "model.fp16.safetensors.index.json"
            })
    void anIndexOfAnyNameIsRead(String name) {
        save("x.safetensors", "a", 1);
        save("sub/y.safetensors", "b", 2);
        Path index = index(name, "a", "x.safetensors", "b", "sub/y.safetensors");
        holds(directory, "b a");
        holds(index, "b a");
        index(name, "a", "x.safetensors", "c", "x.safetensors");
        assertFails(MalformedFileException.class, () -> Model.open(directory), index, "\"c\"", "no shard holds it");
    }

    @Test
    void theUsualNameComesFirstAndTheOthersAreSaid() {
        save("consolidated.safetensors", "a", 1);
        save("model.fp16.safetensors", "a", 2);
        refused("holds 2 safetensors files and no index", "\"consolidated.safetensors\", \"model.fp16.safetensors\"");
        save("model.safetensors", "m", 3);
        holds(
                directory,
                "m",
                "\"consolidated.safetensors\", \"model.fp16.safetensors\", which are not part of the model");
        index("consolidated.safetensors.index.json", "a", "consolidated.safetensors");
        holds(directory, "m", "not read");
    }

    @Test
    void twoIndexesAreTwoModels() {
        save("x.safetensors", "a", 1);
        index("a.safetensors.index.json", "a", "x.safetensors");
        index("b.safetensors.index.json", "a", "x.safetensors");
        refused("2 indexes of different models", "\"a.safetensors.index.json\"");
    }

    @Test
    void aSingleFileAndAnIndexMustAgree() {
        Path single = save("model.safetensors", "a", 1);
        save(FIRST, "a", 2);
        refused("two models", "\"model.safetensors\"", FIRST);
        Path index = index(INDEX, "a", FIRST);
        refused("two models, \"model.safetensors\" and \"" + INDEX + "\"", "programs differ");
        index(INDEX, "a", "missing.safetensors");
        refused("two models, \"model.safetensors\" and \"" + INDEX + "\"");
        index(INDEX, "a", "./" + FIRST);
        holds(single, "a");
        holds(index, "a", "\"model.safetensors\", which is not part of the model by \"" + INDEX + "\"");
        index(INDEX, "a", "model.safetensors");
        holds(directory, "a", FIRST);
    }

    @Test
    void anIndexMustNotOmitAShard() {
        save(FIRST, "a", 1);
        save(SECOND, "b", 1);
        Path index = index(INDEX, "a", FIRST);
        assertFails(InvalidDataException.class, () -> Model.open(directory), index, "omits", SECOND, "lies beside");
        index(INDEX, "a", FIRST, "b", SECOND);
        holds(directory, "a b");
        save("model-00001-of-00003.safetensors", "c", 1);
        holds(directory, "a b", "\"model-00001-of-00003.safetensors\", which is not part");
    }

    @Test
    void theIndexDecidesWhatLiesInTwoShards() {
        for (String chosen : List.of("x.safetensors", "y.safetensors")) {
            save("x.safetensors", "a", 1);
            Path y = directory.resolve("y.safetensors");
            SafetensorsWriter.write(y, List.of(i32("a", 2), i32("b", 3)), Map.of());
            index(INDEX, "a", chosen, "b", "y.safetensors", "a2", "x.safetensors");
            SafetensorsWriter.write(directory.resolve("x.safetensors"), List.of(i32("a", 1), i32("a2", 4)), Map.of());
            try (Model model = Model.open(directory)) {
                int[] expected = {chosen.startsWith("x") ? 1 : 2};
                assertArrayEquals(expected, model.require("a").ints());
                assertEquals(directory.resolve(chosen), model.fileOf("a"));
                assertEquals(
                        List.of(directory + " has 1 tensor in two shards; what its index names is read."),
                        model.notes());
            }
        }
    }

    @Test
    void aDownloadCacheLeadsToItsSnapshot() throws Exception {
        Files.createDirectories(directory.resolve("snapshots"));
        refused(directory.toString(), "download cache without a snapshot");
        save("snapshots/abc/model.safetensors", "a", 1);
        write(directory.resolve("snapshots/abc"), "config.json", "{\"tie_word_embeddings\": true}");
        holds(directory, "a", "snapshot " + directory.resolve("snapshots/abc") + " is read");
        save("snapshots/def/model.safetensors", "b", 1);
        refused("several snapshots and no refs/main", "\"abc\", \"def\"");
        Files.createDirectory(directory.resolve("refs"));
        for (String wrong : List.of("", "../snapshots/abc", "ghi", "x".repeat(1000))) {
            write(directory.resolve("refs"), "main", wrong);
            refused("several snapshots");
        }
        write(directory.resolve("refs"), "main", "def\n");
        holds(directory, "b", "snapshots/def is read");
    }

    @Test
    void aCacheOfSeveralModelsIsExplained() {
        save("models--a--b/snapshots/1/model.safetensors", "a", 1);
        refused("download cache of models", "\"models--a--b\"");
        save("x/hub/models--c--d/snapshots/1/model.safetensors", "a", 1);
        assertFails(InvalidDataException.class, () -> Model.open(directory.resolve("x")), "\"models--c--d\"");
    }

    @Test
    void foldersWithModelsAreNamed() {
        save("unet/diffusion_pytorch_model.safetensors", "a", 1);
        save("text_encoder/model.safetensors", "a", 1);
        refused("its folders do: \"text_encoder\", \"unet\"; name one of them");
    }

    @Test
    void aBrokenLinkIsNoMissingFile() throws Exception {
        Path link = directory.resolve("model.safetensors");
        Files.createSymbolicLink(link, Path.of("blobs", "0"));
        for (Path input : List.of(directory, link)) {
            assertFails(FileAccessException.class, () -> Model.open(input), link, "a link to a file that is not there");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"adapter_model.safetensors", "adapters.safetensors", "pytorch_lora_weights.safetensors"})
    void anAdapterMustBeMergedFirst(String name) {
        Path adapter = save(name, "base_model.model.lm_head.lora_A.weight", 1);
        refused(
                directory.toString(),
                "\"" + name + "\", which is an adapter, not a model by itself",
                "merge_and_unload");
        write(directory, "adapter_config.json", "{\"base_model_name_or_path\": \"some/model\"}");
        refused("an adapter of \"some/model\"");
        assertFails(InvalidDataException.class, () -> Model.open(adapter), adapter, "is an adapter of \"some/model\"");
        write(directory, "adapter_config.json", "{");
        refused("is an adapter, not a model");
        save("model.safetensors", "a", 1);
        holds(directory, "a", name);
    }

    @Test
    void anAdapterThatIsAPickleIsOneToo() {
        write(directory, "adapter_config.json", "{}");
        write(directory, "adapter_model.bin", new byte[] {(byte) 0x80, 2, 0});
        refused("is an adapter", "merge it into the model first");
    }

    @ParameterizedTest
    @ValueSource(strings = {"optimizer.safetensors", "training_state.safetensors", "random_states_0.safetensors"})
    void theStateOfATrainingIsNoModel(String name) {
        Path state = save(name, "lm_head.weight", 1);
        refused(directory.toString(), name, "the state of a training");
        assertFails(InvalidDataException.class, () -> Model.open(state), state, "the state of a training");
    }

    @Test
    void aBrokenConfigurationStopsOnlyADirectory() {
        Path model = save("model.safetensors", "a", 1);
        Path config = write(directory, "config.json", "[1]");
        assertFails(MalformedFileException.class, () -> Model.open(directory), config, "not a JSON object");
        holds(model, "a", config + " cannot be read and is left aside");
        write(directory, "config.json", "{\"a\":[" + "1,".repeat(3_000_000) + "1]}");
        assertFails(MalformedFileException.class, () -> Model.open(directory), config, "more than the 4194304");
        byte[] npy = NumpyFileTest.npy(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }", new byte[4]);
        holds(write(directory, "m.npy", npy), "matrix");
    }
}
