package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static io.groupreduce.format.FormatFixtures.i32;
import static io.groupreduce.format.FormatFixtures.matrix;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelTest {
    private static final String TIED = "{\"tie_word_embeddings\": true, \"limit\": [0.0, Infinity]}";

    @TempDir
    private Path directory;

    private Path save(String name, Tensor... tensors) {
        Path file = directory.resolve(name);
        SafetensorsWriter.write(file, List.of(tensors), Map.of("saved", name));
        return file;
    }

    private static List<String> compressible(Model model) {
        return model.compressible().stream().map(Tensor::name).toList();
    }

    private static List<Path> files(Model model) {
        return model.tensors().keySet().stream().map(model::fileOf).distinct().toList();
    }

    @Test
    void opensAFile() {
        Path file = save("any.safetensors", matrix("softmax.weight", 2, 2, 0), matrix("embedding.weight", 2, 2, 5));
        try (Model model = Model.open(file)) {
            assertEquals(file, model.path());
            assertEquals(List.of(file), files(model));
            assertEquals(file, model.fileOf("softmax.weight"));
            assertEquals(Map.of("saved", "any.safetensors"), model.metadata());
            assertEquals(List.of("embedding.weight", "softmax.weight"), compressible(model));
            assertTrue(model.servesAsOutput("softmax.weight"));
            assertFalse(model.servesAsOutput("embedding.weight"));
            assertFails(InvalidDataException.class, () -> model.require("lm_head"), file, "\"lm_head\"");
            assertFails(InvalidDataException.class, () -> model.fileOf("lm_head"), file, "\"lm_head\"");
        }
    }

    @Test
    void tellsWhichVocabularyMatricesHaveATypeThatCannotBeCompressed() {
        Tensor wide = new Tensor("lm_head.weight", DType.F64, new long[] {2, 2}, MemorySegment.ofArray(new byte[32]));
        Tensor narrow = new Tensor("wte.weight", DType.F8_E4M3, new long[] {2, 2}, MemorySegment.ofArray(new byte[4]));
        Tensor layer =
                new Tensor("h.0.output.weight", DType.F64, new long[] {2, 2}, MemorySegment.ofArray(new byte[32]));
        try (Model model = Model.open(save("wide.safetensors", wide, narrow, layer))) {
            assertEquals(List.of(), model.compressible());
            assertEquals(
                    List.of(
                            "\"lm_head.weight\" is not compressed: it has type F64; convert it to F32, F16 or BF16 first.",
                            "\"wte.weight\" is not compressed: it is stored quantised (F8_E4M3, which means nothing without"
                                    + " its scales); start from the unquantised model."),
                    model.vocabulary().stream()
                            .map(VocabularyMatrix::sentence)
                            .sorted()
                            .toList());
        }
        Tensor embedding = matrix("wte.weight", 2, 2, 0);
        try (Model model = Model.open(save("mixed.safetensors", wide, embedding))) {
            assertEquals(List.of("wte.weight"), compressible(model));
            assertFalse(model.servesAsOutput("wte.weight"));
        }
    }

    @Test
    void prefersTheSingleModelFileOfADirectory() {
        Path model = save("model.safetensors", matrix("wte.weight", 2, 2, 0));
        save("other.safetensors", matrix("x", 2, 2, 0));
        try (Model opened = Model.open(directory)) {
            assertEquals(List.of(model), files(opened));
            assertEquals(
                    List.of(directory
                            + " also holds \"other.safetensors\", which is not part of the model and not read."),
                    opened.notes());
        }
    }

    @Test
    void takesTheOnlySafetensorsFileOfADirectory() {
        assertFails(InvalidDataException.class, () -> Model.open(directory), directory, "no .safetensors file");
        Path first = save("first.safetensors", matrix("wte.weight", 2, 2, 0));
        try (Model opened = Model.open(directory)) {
            assertEquals(List.of(first), files(opened));
        }
        save("second.safetensors", matrix("wte.weight", 2, 2, 0));
        assertFails(
                InvalidDataException.class,
                () -> Model.open(directory),
                directory,
                "holds 2 safetensors files",
                "\"first.safetensors\", \"second.safetensors\"",
                "no index");
    }

    @Test
    void opensANumpyMatrix() {
        byte[] npy = ("\u0093NUMPY\u0001\u0000\u0050\u0000"
                        + "%-80s".formatted("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }") + "\0\0\0\0")
                .getBytes(StandardCharsets.ISO_8859_1);
        Model model = Model.open(write(directory, "m.npy", npy));
        assertEquals(List.of("matrix"), compressible(model));
        assertEquals(Model.Role.OUTPUT, model.role("matrix"));
        assertTrue(model.servesAsOutput("matrix"));
        assertTrue(model.metadata().isEmpty());
        Tensor matrix = model.require("matrix");
        model.close();
        model.close();
        assertThrows(IllegalStateException.class, () -> matrix.data().get(ValueLayout.JAVA_BYTE, 0));
    }

    @Test
    void missingInputIsNamed() {
        for (String name : List.of("none", "none.npy", "none.bin", "none.safetensors")) {
            Path file = directory.resolve(name);
            assertFails(FileAccessException.class, () -> Model.open(file), file, "does not exist");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "embedding.weight, EMBEDDING",
        "rnn.embedding.weight, EMBEDDING",
        "model.embed_tokens.weight, EMBEDDING",
        "transformer.wte.weight, EMBEDDING",
        "tok_embeddings.weight, EMBEDDING",
        "bert.embeddings.word_embeddings.weight, EMBEDDING",
        "gpt_neox.embed_in.weight, EMBEDDING",
        "shared.weight, EMBEDDING",
        "token_embd.weight, EMBEDDING",
        "softmax.weight, OUTPUT",
        "lm_head.weight, OUTPUT",
        "output.weight, OUTPUT",
        "cls.predictions.decoder.weight, OUTPUT",
        "embed_out.weight, OUTPUT",
        "decoder.output_projection.weight, OUTPUT"
    })
    void knowsTheNamesOfModelFamilies(String name, Model.Role role) {
        try (Model model = Model.open(save("m.safetensors", matrix(name, 2, 2, 0)))) {
            assertEquals(List.of(name), compressible(model));
            assertEquals(role, model.role(name));
            assertTrue(model.servesAsOutput(name), "alone, a matrix is the output too");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "layers.3.output.weight",
                "encoder.block.0.decoder.weight",
                "position_embeddings.weight",
                "wpe.weight",
                "lm_head.bias",
                "mysoftmax.weight"
            })
    void leavesOtherTensorsAlone(String name) {
        try (Model model = Model.open(save("m.safetensors", matrix(name, 2, 2, 0)))) {
            assertEquals(List.of(), model.compressible());
        }
    }

    @Test
    void leavesTensorsAloneThatAreNoFloatMatrix() {
        Tensor flat = f32("softmax.weight", new long[] {2}, 1, 2);
        Tensor integers = new Tensor(
                "lm_head.weight", DType.I32, new long[] {1, 2}, i32("x", 1, 2).data());
        Tensor empty = f32("wte.weight", new long[] {0, 2});
        try (Model model = Model.open(save("m.safetensors", flat, integers, empty))) {
            assertEquals(List.of(), model.compressible());
        }
    }

    @Test
    void listsATiedMatrixOnceWhenBothCopiesAreTheSame() {
        Tensor embedding = matrix("model.embed_tokens.weight", 3, 2, 0);
        save("model.safetensors", matrix("lm_head.weight", 3, 2, 0), embedding);
        for (String config : List.of("{}", TIED, "{\"tie_word_embeddings\": false}")) {
            write(directory, "config.json", config);
            try (Model tied = Model.open(directory)) {
                assertEquals(List.of("model.embed_tokens.weight"), compressible(tied));
                assertEquals(Map.of("lm_head.weight", "model.embed_tokens.weight"), tied.duplicates());
                assertTrue(tied.servesAsOutput("model.embed_tokens.weight"));
            }
        }
    }

    @Test
    void listsBothWhenTheyDiffer() {
        write(directory, "config.json", TIED);
        save("model.safetensors", matrix("lm_head.weight", 3, 2, 1), matrix("embed_tokens.weight", 3, 2, 0));
        try (Model model = Model.open(directory)) {
            assertEquals(List.of("embed_tokens.weight", "lm_head.weight"), compressible(model));
            assertTrue(model.duplicates().isEmpty());
            assertFalse(model.servesAsOutput("embed_tokens.weight"));
        }
    }

    @Test
    void aBrokenConfigurationIsNamed() {
        save("model.safetensors", matrix("wte.weight", 2, 2, 0));
        Path config = write(directory, "config.json", "{\"tie_word_embeddings\": tr");
        assertFails(MalformedFileException.class, () -> Model.open(directory), config, "not valid JSON");
    }

    private Path index(String json) {
        return write(directory, "model.safetensors.index.json", json);
    }

    @Test
    void readsShardsThroughTheIndex() {
        Path b = save("b.safetensors", matrix("lm_head.weight", 2, 2, 4));
        Path a = save("a.safetensors", matrix("wte.weight", 2, 2, 0), i32("extra", 1));
        save("unrelated.safetensors", i32("unrelated", 1));
        index("{\"metadata\": {\"total_size\": 36}, \"weight_map\": {"
                + "\"lm_head.weight\": \"b.safetensors\", \"wte.weight\": \"a.safetensors\"}}");
        try (Model model = Model.open(directory)) {
            assertEquals(List.of(a, b), files(model));
            assertEquals(
                    List.of("wte.weight", "extra", "lm_head.weight"),
                    List.copyOf(model.tensors().keySet()));
            assertEquals(b, model.fileOf("lm_head.weight"));
            assertEquals(List.of("wte.weight", "lm_head.weight"), compressible(model));
        }
    }

    @Test
    void aMissingOrDamagedShardIsNamed() {
        Path index = index("{\"weight_map\": {\"a\": \"a.safetensors\"}}");
        assertFails(InvalidDataException.class, () -> Model.open(directory), index, "\"a.safetensors\"", "missing");
        Path shard = write(directory, "a.safetensors", "{}");
        assertFails(MalformedFileException.class, () -> Model.open(directory), shard, "is JSON text");
    }

    @Test
    void everyTensorMustLieWhereTheIndexSays() {
        save("a.safetensors", i32("a", 1));
        save("b.safetensors", i32("b", 1));
        Path swapped = index("{\"weight_map\": {\"a\": \"b.safetensors\", \"b\": \"a.safetensors\"}}");
        assertFails(
                MalformedFileException.class,
                () -> Model.open(directory),
                swapped,
                "\"a\"",
                "\"b.safetensors\"",
                "a.safetensors holds it");
        Path more = index("{\"weight_map\": {\"a\": \"a.safetensors\", \"c\": \"a.safetensors\"}}");
        assertFails(MalformedFileException.class, () -> Model.open(directory), more, "\"c\"", "no shard holds it");
        save("b.safetensors", i32("x", 1), i32("b", 1));
        save("a.safetensors", i32("x", 1), i32("a", 1));
        index("{\"weight_map\": {\"a\": \"a.safetensors\", \"b\": \"b.safetensors\"}}");
        assertFails(MalformedFileException.class, () -> Model.open(directory), directory, "\"x\"", "in two shards");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../a.safetensors", "x/../../a.safetensors", "/a.safetensors", ".", "", "x/..", ".."})
    void aShardMustLieInTheDirectory(String shard) {
        Path index = index("{\"weight_map\": {\"a\": \"" + shard + "\"}}");
        assertFails(
                MalformedFileException.class,
                () -> Model.open(directory),
                index,
                "\"" + shard + "\"",
                "not inside the model directory");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{ | not valid JSON",
                "[] | not a JSON object",
                "{} | no weight_map",
                "{\"weight_map\": {}} | no weight_map",
                "{\"weight_map\": []} | not a JSON object",
                "{\"weight_map\": {\"a\": 1}} | no file name for tensor \"a\"",
                "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}} | \"a\" twice",
                "{\"weight_map\": {\"a\": \"x\"}, \"weight_map\": {\"b\": \"x\"}} | two entries weight_map",
                "{\"weight_map\": {\"a\": \"x\\u0000y\"}} | no file name"
            })
    void aMalformedIndexIsNamed(String json, String message) {
        Path index = index(json);
        assertFails(MalformedFileException.class, () -> Model.open(directory), index, message);
    }
}
