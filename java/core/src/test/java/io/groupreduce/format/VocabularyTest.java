package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.matrix;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the finder holds against a name: other tensors, shapes, types, contents, config.json, and what the user says. */
class VocabularyTest {
    private static final int ROWS = 400;
    private static final int COLUMNS = 4;
    private static final String EMBEDDING = "model.embed_tokens.weight";

    @TempDir
    private Path directory;

    private static Tensor embedding() {
        return matrix(EMBEDDING, ROWS, COLUMNS, 0);
    }

    private static Tensor other(String name) {
        return matrix(name, ROWS, COLUMNS, 7);
    }

    private static Tensor of(String name, DType type, long... shape) {
        long bits = Arrays.stream(shape).reduce(type.bits(), (a, b) -> a * b);
        return new Tensor(name, type, shape, MemorySegment.ofArray(new byte[(int) (bits / 8)]));
    }

    private Model model(String config, VocabularyChoice choice, Tensor... tensors) {
        SafetensorsWriter.write(directory.resolve("model.safetensors"), List.of(tensors), Map.of());
        FormatFixtures.write(directory, "config.json", config);
        return Model.open(directory, choice);
    }

    private Model model(String config, Tensor... tensors) {
        return model(config, VocabularyChoice.NONE, tensors);
    }

    private static List<String> taken(Model model) {
        return model.compressible().stream().map(Tensor::name).toList();
    }

    private static String why(Model model, String tensor) {
        VocabularyMatrix found = model.vocabularyMatrix(tensor).orElseThrow();
        assertFalse(found.taken(), tensor);
        return found.why();
    }

    private static float[] biasOf(Model model, String tensor) {
        return model.bias(model.logits(tensor));
    }

    private static void refusesStates(Model model, Object... parts) {
        assertFalse(model.servesAsOutput(EMBEDDING));
        assertFails(InvalidDataException.class, () -> model.outputAmong(List.of(EMBEDDING)), parts);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "lm_head.qweight",
                "lm_head.weight_packed",
                "lm_head.q_weight",
                "lm_head.W_q",
                "lm_head.codes",
                "lm_head.weight._data",
                "lm_head.some_new_packing",
                "_orig_mod.lm_head.module.qweight"
            })
    void packedCodesAreAnOutputThatCannotBeCompressed(String name) {
        try (Model model = model("{\"tie_word_embeddings\": true}", embedding(), of(name, DType.I32, 1, ROWS))) {
            assertEquals(List.of(EMBEDDING), taken(model));
            assertTrue(why(model, name).startsWith("is stored "), why(model, name));
            refusesStates(model, directory, name, "is stored ", "start from the unquantised model");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "F8_E4M3, means nothing without its scales",
        "F8_E5M2, means nothing without its scales",
        "U8, codes of type U8",
        "U32, codes of type U32",
        "I8, codes of type I8",
        "F64, convert it to F32",
        "I64, has type I64"
    })
    void aTypeThatCannotBeCompressedIsExplained(DType type, String part) {
        try (Model model = model("{}", embedding(), of("lm_head.weight", type, ROWS, COLUMNS))) {
            String why = why(model, "lm_head.weight");
            assertTrue(why.contains(part), why);
            assertEquals(type == DType.F64, why.contains("convert"), "codes are no numbers to cast");
            refusesStates(model, "lm_head.weight", part);
        }
    }

    @Test
    void codesAreSaidToBeWhose() {
        Tensor codes = of("lm_head.weight", DType.U8, ROWS * COLUMNS / 2, 1);
        try (Model model = model("{}", embedding(), codes, of("lm_head.weight.absmax", DType.F32, 4))) {
            assertTrue(why(model, "lm_head.weight").contains("bitsandbytes"));
        }
        Tensor mlx = of("lm_head.weight", DType.U32, ROWS, 2);
        try (Model model = model("{}", embedding(), mlx, of("lm_head.biases", DType.F16, ROWS, 1))) {
            assertTrue(why(model, "lm_head.weight").contains("MLX"));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"tie_word_embeddings\": false}",
                "{\"text_config\": {\"tie_word_embeddings\": false}}",
                "{\"thinker_config\": {\"text_config\": {\"tie_word_embeddings\": false}}}",
                "{\"llm_config\": {\"tie_word_embeddings\": false}}",
                "{\"weight_tying\": false}",
                "{\"untie_embeddings_and_output_weights\": true}",
                "{\"model_type\": \"llama\"}",
                "{\"model_type\": \"llava\", \"text_config\": {\"model_type\": \"mistral\"}}"
            })
    void whereTheConfigurationUntiesNoEmbeddingIsTheOutput(String config) {
        try (Model model = model(config, embedding())) {
            assertEquals(List.of(EMBEDDING), taken(model));
            refusesStates(model, "config.json", "--output-tensor");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"tie_word_embeddings\": true}",
                "{\"model_type\": \"llama\", \"tie_word_embeddings\": true}",
                "{\"model_type\": \"gemma3\", \"text_config\": {\"model_type\": \"gemma3_text\"}}",
                "{\"tie_word_embeddings\": false, \"text_config\": {\"tie_word_embeddings\": true}}",
                "{\"untie_embeddings_and_output_weights\": false}"
            })
    void otherwiseItIsWhereNoneIsStored(String config) {
        try (Model model = model(config, embedding())) {
            assertEquals(EMBEDDING, model.outputAmong(List.of(EMBEDDING)));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "score_all.weight, 400, 4",
        "score_all.weight, 392, 4",
        "to_words, 4, 400",
        "classifier.2.weight, 400, 4"
    })
    void aMatrixOfTheVocabularysSizeUnderAnUnknownNameMayBeTheOutput(String name, int rows, int columns) {
        Tensor unknown = matrix(name, rows, columns, 7);
        try (Model model = model("{}", embedding(), unknown)) {
            assertEquals(List.of(EMBEDDING), taken(model));
            assertTrue(why(model, name).contains("--output-tensor"));
            refusesStates(model, name, "--output-tensor");
        }
        try (Model model = model("{\"tie_word_embeddings\": true}", embedding(), unknown)) {
            assertTrue(model.servesAsOutput(EMBEDDING), "the configuration says so");
        }
        if (columns == COLUMNS) {
            VocabularyChoice choice = new VocabularyChoice(name, null, null);
            try (Model model = model("{}", choice, embedding(), unknown)) {
                assertEquals(List.of(EMBEDDING, name), taken(model));
                assertEquals(name, model.outputAmong(taken(model)));
            }
        }
    }

    @Test
    void besideAKnownOutputItIsOnlyNamed() {
        Tensor unknown = matrix("tower.words", ROWS, COLUMNS, 7);
        Tensor[] layers = {
            matrix("h.0.mlp", ROWS, COLUMNS, 1),
            matrix("x.0.mlp", ROWS, COLUMNS, 1),
            matrix("x.1.mlp", ROWS, COLUMNS, 1)
        };
        try (Model model = model("{}", other("lm_head.weight"), unknown, layers[0], layers[1], layers[2])) {
            assertTrue(why(model, unknown.name()).contains("--tensor"));
            assertTrue(model.servesAsOutput("lm_head.weight"));
            assertEquals(2, model.vocabulary().size(), "no layers");
        }
    }

    /** A part of an output's module beside its weight is no output in itself. */
    @Test
    void whatStandsBesideAWeightIsNotItsForm() {
        Tensor scale = matrix("lm_head.scales", ROWS, 1, 0);
        try (Model model = model("{}", embedding(), other("lm_head.weight"), scale, bias("lm_head.bias"))) {
            assertEquals(2, model.vocabulary().size());
        }
        try (Model model = model("{}", embedding(), bias("lm_head.bias"), other("lm_head.dense.weight"))) {
            assertTrue(model.vocabulary().stream().noneMatch(m -> m.role() == Model.Role.OUTPUT));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "wpe.weight, positions",
        "encoder.embed_positions.weight, positions",
        "rnn.weight_ih_l0, recurrent",
        "model.layers.61.embed_tokens.weight, layer",
        "model.layers.61.shared_head.head.weight, further tokens",
        "mtp.embed_tokens.weight, further tokens",
        "vision_tower.token_embedding.weight, vision",
        "lm_head.lora_B.weight, adapter"
    })
    void whatIsNoVocabularysIsLeftOutAndNamed(String name, String part) {
        try (Model model = model("{}", embedding(), other(name))) {
            assertEquals(List.of(EMBEDDING), taken(model));
            assertTrue(why(model, name).contains(part), why(model, name));
            assertTrue(model.servesAsOutput(EMBEDDING));
        }
    }

    @Test
    void rowsAreHeldAgainstTheConfiguration() {
        Tensor codebook = matrix("model.codes.embedding.weight", 128, 2, 0);
        Tensor named = matrix("model.vqmodel.quantize.embedding.weight", 128, 2, 0);
        Tensor head = matrix("tower.head.weight", 10, COLUMNS, 0);
        String config = "{\"vocab_size\": 400, \"vision_config\": {\"vocab_size\": 128}}";
        for (String given : List.of(config, "{}")) {
            try (Model model = model(given, embedding(), codebook, named, head)) {
                assertEquals(List.of(EMBEDDING), taken(model));
                assertTrue(why(model, codebook.name()).startsWith("has 128 rows where "));
                assertTrue(why(model, codebook.name()).contains("400"));
                assertEquals("is a codebook, not a vocabulary", why(model, named.name()));
                assertTrue(why(model, head.name()).startsWith("has 10 rows"));
                assertTrue(model.servesAsOutput(EMBEDDING), "a head of 10 rows is no output");
            }
        }
        try (Model model = model("{\"vocab_size\": 1000}", embedding())) {
            assertEquals(List.of(), taken(model));
            assertTrue(why(model, EMBEDDING).contains("1000"));
        }
        Tensor padded = matrix("lm_head.weight", ROWS - 8, COLUMNS, 0);
        try (Model model = model("{\"text_config\": {\"vocab_size\": 392}}", embedding(), padded)) {
            assertEquals(List.of(EMBEDDING, "lm_head.weight"), taken(model));
        }
    }

    @Test
    void aTransposedOutputIsSaidToBeOne() {
        Tensor turned = matrix("lm_head.weight", COLUMNS, ROWS, 0);
        try (Model model = model("{\"vocab_size\": 400}", embedding(), turned)) {
            refusesStates(model, "lm_head.weight", "transposed");
        }
        Tensor kernel = matrix("lm_head.kernel", COLUMNS, ROWS, 0);
        Tensor flax = matrix("model.embed_tokens.embedding", ROWS, COLUMNS, 0);
        try (Model model = model("{}", flax, kernel)) {
            assertEquals(List.of(flax.name()), taken(model));
            assertFalse(model.servesAsOutput(flax.name()));
            assertTrue(why(model, kernel.name()).contains("transposed"));
        }
    }

    @Test
    void aTensorOfRankThreeIsNoMatrixButAnOutput() {
        try (Model model = model("{}", embedding(), of("lm_head.weight", DType.F32, 2, ROWS, COLUMNS))) {
            refusesStates(model, "lm_head.weight", "has shape [2, 400, 4]");
        }
    }

    @Test
    void whatRepeatsAnotherIsStoredOnce() {
        String[] names = {
            "decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "lm_head.weight", "shared.weight"
        };
        Tensor[] copies =
                Arrays.stream(names).map(n -> matrix(n, ROWS, COLUMNS, 1)).toArray(Tensor[]::new);
        for (String config : List.of("{}", "{\"tie_word_embeddings\": false}", "{\"model_type\": \"t5\"}")) {
            try (Model model = model(config, copies)) {
                assertEquals(List.of(names[0]), taken(model));
                assertEquals(Map.of(names[1], names[0], names[2], names[0], names[3], names[0]), model.duplicates());
                assertTrue(model.servesAsOutput(names[0]));
                assertTrue(model.servesAsOutput("lm_head.weight"));
            }
        }
    }

    @Test
    void ofSeveralEmbeddingsTheDecodersIsTheOutput() {
        Tensor encoder = matrix("model.encoder.embed_tokens.weight", ROWS, COLUMNS, 1);
        Tensor decoder = matrix("model.decoder.embed_tokens.weight", ROWS, COLUMNS, 2);
        try (Model model = model("{}", encoder, decoder)) {
            assertEquals(decoder.name(), model.outputAmong(taken(model)));
        }
        Tensor talker = matrix("talker.embed_tokens.weight", ROWS, COLUMNS, 3);
        try (Model model = model("{}", talker, decoder)) {
            assertFails(InvalidDataException.class, () -> model.outputAmong(taken(model)), "--output-tensor", "talker");
        }
    }

    @Test
    void anAdaptersOutputIsNotTheModels() {
        Tensor base = other("base_model.model.lm_head.base_layer.weight");
        Tensor a = of("base_model.model.lm_head.lora_A.default.weight", DType.F32, 8, COLUMNS);
        try (Model model = model("{}", base, a)) {
            assertEquals(List.of(base.name()), taken(model));
            assertFails(InvalidDataException.class, () -> model.outputAmong(taken(model)), "adapter", "merge it");
        }
        Tensor before = other("lm_head.original_module.weight");
        Tensor after = matrix("lm_head.modules_to_save.default.weight", ROWS, COLUMNS, 8);
        try (Model model = model("{}", embedding(), before, after)) {
            assertEquals(List.of(EMBEDDING, after.name()), taken(model));
            assertTrue(why(model, before.name()).contains("modules_to_save"));
        }
    }

    @Test
    void anAdaptiveSoftmaxIsNoMatrix() {
        List<Tensor> parts = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            parts.add(matrix("transformer.word_emb.emb_layers." + i + ".weight", 100 + 200 * i, 8, 0));
            parts.add(matrix("crit.out_layers." + i + ".weight", 100 + 200 * i, 8, 1));
        }
        try (Model model = model("{}", parts.toArray(Tensor[]::new))) {
            assertEquals(List.of(), taken(model));
            assertTrue(why(model, "crit.out_layers.0.weight").contains("adaptive softmax"));
        }
    }

    @Test
    void oneOutputOfSeveralCodebooksIsNotTheOutput() {
        Tensor first = other("decoder.lm_heads.0.weight");
        try (Model model = model("{}", embedding(), first, matrix("decoder.lm_heads.1.weight", ROWS, COLUMNS, 9))) {
            assertEquals(List.of(EMBEDDING), taken(model));
            refusesStates(model, first.name(), "one of several");
        }
    }

    @Test
    void theUserDecides() {
        Tensor[] tensors = {embedding(), other("a"), matrix("b", ROWS, COLUMNS, 9), other("lm_head.weight"), bias("c")};
        try (Model model = model("{}", new VocabularyChoice("b", "a", "c"), tensors)) {
            assertEquals(List.of("a", "b"), taken(model));
            assertEquals("b", model.outputAmong(List.of("a", "b")));
            assertEquals(Model.Role.EMBEDDING, model.role("a"));
            assertEquals("c", model.logits("b").bias());
            assertEquals(ROWS, biasOf(model, "b").length);
            assertFalse(model.servesAsOutput("lm_head.weight"));
            assertTrue(why(model, EMBEDDING).contains("named"));
        }
        try (Model model =
                model("{\"tie_word_embeddings\": false}", new VocabularyChoice(EMBEDDING, null, null), tensors)) {
            assertTrue(model.servesAsOutput(EMBEDDING));
            assertEquals(Model.Role.EMBEDDING, model.role(EMBEDDING));
        }
        for (String absent : List.of("x", "lm_head")) {
            VocabularyChoice choice = new VocabularyChoice(null, absent, null);
            assertFails(InvalidDataException.class, () -> model("{}", choice, tensors), directory, absent);
        }
        try (Model model = model("{}", new VocabularyChoice("c", null, null), tensors)) {
            assertFails(InvalidDataException.class, model::vocabulary, directory, "\"c\" has shape [400]");
        }
        try (Model model = model("{}", new VocabularyChoice(null, null, EMBEDDING), tensors)) {
            assertFails(InvalidDataException.class, () -> biasOf(model, "lm_head.weight"), EMBEDDING, "shape [400, 4]");
        }
    }

    private static Tensor bias(String name) {
        float[] values = new float[ROWS];
        values[3] = 5;
        return FormatFixtures.f32(name, new long[] {ROWS}, values);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "cls.predictions.bias",
                "predictions.bias",
                "lm_head.bias",
                "vocab_projector.bias",
                "lm_predictions.lm_head.bias",
                "lm_head._orig_mod.bias"
            })
    void tiedWeightsHaveTheBiasOfTheOutput(String name) {
        try (Model model = model("{}", embedding(), bias(name))) {
            assertArrayEquals(bias(name).floats(), biasOf(model, EMBEDDING));
            assertEquals(name, model.logits(EMBEDDING).bias());
        }
    }

    @Test
    void aMatrixOfNoVocabularyIsNoOutputBesideOne() {
        String positions = "bert.embeddings.position_embeddings.weight";
        try (Model model = model(
                "{\"model_type\":\"bert\"}",
                matrix("bert.embeddings.word_embeddings.weight", ROWS, COLUMNS, 0),
                matrix(positions, 8, COLUMNS, 3),
                of("cls.predictions.bias", DType.F32, ROWS))) {
            assertTrue(model.servesAsOutput("bert.embeddings.word_embeddings.weight"));
            assertFalse(model.servesAsOutput(positions));
            assertEquals(Logits.PLAIN, model.logits(positions));
        }
    }

    @Test
    void anOutputHasNoBiasOfAnotherMatrix() {
        try (Model model = model(
                "{}", other("lm_head.weight"), matrix("softmax.weight", ROWS, COLUMNS, 9), bias("softmax.bias"))) {
            assertNull(biasOf(model, "lm_head.weight"));
            assertEquals(ROWS, biasOf(model, "softmax.weight").length);
        }
        Tensor decoder = other("cls.predictions.decoder.weight");
        try (Model model = model("{}", decoder, bias("cls.predictions.bias"))) {
            assertEquals(ROWS, biasOf(model, decoder.name()).length);
        }
    }
}
