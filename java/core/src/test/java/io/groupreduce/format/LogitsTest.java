package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static io.groupreduce.format.FormatFixtures.matrix;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Factors, caps and biases that models put on their logits. */
class LogitsTest {
    private static final int ROWS = 5;
    private static final int COLUMNS = 4;
    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final float[] BIAS = {1, -2, 0.5f, 0, 3};

    @TempDir
    private Path directory;

    private Model model(String config, Tensor... tensors) {
        write(directory, "config.json", config);
        SafetensorsWriter.write(directory.resolve("model.safetensors"), List.of(tensors), Map.of());
        return Model.open(directory);
    }

    private Logits logits(String config, Tensor... tensors) {
        model(config, tensors).close();
        // Rows and configuration of these small models need not fit each other.
        try (Model model = Model.open(directory, new VocabularyChoice(tensors[0].name(), null, null))) {
            return model.logits(tensors[0].name());
        }
    }

    /** Of an embedding of width 4 that is the output as well. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{}                                                                          | 1",
                "{\"logits_scaling\": 8.0, \"embedding_multiplier\": 12, \"model_type\": \"granite\"}   | 0.125",
                "{\"logits_scaling\": 0.125, \"model_type\": \"hyperclovax\"}                     | 0.125",
                "{\"logit_scale\": 0.0625, \"model_type\": \"cohere\"}                            | 0.0625",
                "{\"text_config\": {\"logit_scale\": 0.25}, \"logit_scale_init_value\": 2.6}      | 0.25",
                "{\"decoder\": {\"logits_scaling\": 8, \"model_type\": \"granite\"}}              | 0.125",
                "{\"llm_cfg\": {\"logit_scale\": 0.25}, \"decoder\": \"none\"}                | 0.25",
                "{\"text_model_config\": {\"logits_scaling\": 4}}                            | 0.25",
                "{\"logit_scale\": null, \"attn_logit_softcapping\": 50.0}                      | 1",
                "{\"logit_scale\": \"inv_sqrt_d_model\"}                                        | 0.5",
                "{\"scale_logits\": true}                                                     | 0.5",
                "{\"lm_head_multiplier\": 0.01953125, \"mlp_multipliers\": [0.5, 2]}            | 0.01953125",
                "{\"dim_model_base\": 1, \"scale_emb\": 12, \"scale_depth\": 1.4}                 | 0.25",
                "{\"mup_output_alpha\": 2.0, \"mup_width_scale\": 0.125}                        | 0.25",
                "{\"mup_output_alpha\": 2.0, \"mup_width_scale\": 0.125, \"width_scale\": 0.5}    | 0.5",
                "{\"mup_width_multiplier\": 8.0}                                              | 0.125",
                "{\"output_multiplier_scale\": 0.5}                                           | 0.5",
                "{\"model_type\": \"t5\"}                                                       | 0.5",
                "{\"model_type\": \"t5\", \"tie_word_embeddings\": false}                         | 1",
                "{\"model_type\": \"t5\", \"tie_word_embeddings\": false, \"scale_decoder_outputs\": true} | 0.5",
                "{\"model_type\": \"baichuan\", \"vocab_size\": 64000}                            | 1",
                "{\"final_logit_softcapping\": null, \"num_logits_to_keep\": 3, \"output_router_logits\": true} | 1"
            })
    void factorsOfKnownFamilies(String config, double scale) {
        Logits logits = logits(config, matrix(EMBEDDING, ROWS, COLUMNS, 0));
        assertEquals(new Logits(scale, null, 0, null), logits);
        logits.requireComputable("x");
    }

    @Test
    void aT5WithAnOutputOfItsOwnHasNoFactor() {
        Tensor output = matrix("lm_head.weight", ROWS, COLUMNS, 9);
        assertEquals(
                1,
                logits("{\"model_type\": \"t5\"}", output, matrix("shared.weight", ROWS, COLUMNS, 0))
                        .scale());
        try (Model model = model("{\"logits_scaling\": 8}", matrix("shared.weight", ROWS, COLUMNS, 0), output)) {
            assertEquals(Logits.PLAIN, model.logits("shared.weight"), "an embedding that hidden states do not meet");
        }
    }

    @Test
    void aStoredCopyOfATiedOutputHasItsFactor() {
        Tensor copy = matrix("lm_head.weight", ROWS, COLUMNS, 0);
        try (Model model = model("{\"model_type\": \"t5\"}", matrix("shared.weight", ROWS, COLUMNS, 0), copy)) {
            assertEquals(0.5, model.logits("lm_head.weight").scale());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"final_logit_softcapping", "logits_soft_cap", "final_logits_soft_cap"})
    void aSoftCapIsKnownButNotComputed(String key) {
        Logits logits = logits("{\"" + key + "\": 30.0}", matrix(EMBEDDING, ROWS, COLUMNS, 0));
        assertEquals(new Logits(1, null, 30, null), logits);
        assertFails(InvalidDataException.class, () -> logits.requireComputable("The matrix"), "The matrix", "30.0");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"model_type\": \"baichuan\", \"vocab_size\": 125696} | NormHead",
                "{\"norm_head\": true}                | norm_head",
                "{\"final_logits_temper\": 0.7}       | final_logits_temper",
                "{\"lm_head_scale\": 3}               | lm_head_scale",
                "{\"mup_base_width\": 256}            | mup_base_width",
                "{\"logits_scaling\": 0}              | Infinity",
                "{\"logit_scale\": -1}                | -1.0",
                "{\"logit_scale\": \"learned\"}         | learned"
            })
    void whatIsNotKnownIsTold(String config, String what) {
        Logits logits = logits(config, matrix(EMBEDDING, ROWS, COLUMNS, 0));
        assertNotNull(logits.unknown());
        assertFails(InvalidDataException.class, () -> logits.requireComputable("The matrix"), what, "leave");
    }

    @Test
    void whetherAFactorIncludesTheBiasIsNotKnown() {
        Tensor bias = f32("lm_head.bias", new long[] {ROWS}, BIAS);
        Logits logits = logits("{\"logit_scale\": 0.5}", matrix("lm_head.weight", ROWS, COLUMNS, 0), bias);
        assertFails(InvalidDataException.class, () -> logits.requireComputable("x"), "\"lm_head.bias\"", "0.5");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "cls.predictions.bias",
                "final_logits_bias",
                "vocab_projector.bias",
                "generator_lm_head.bias",
                "lm_loss.bias",
                "lm_predictions.lm_head.bias",
                "pred_layer.proj.bias",
                "lm_head.linear.bias",
                "cls.predictions.decoder.bias",
                "model.embed_tokens.bias"
            })
    void aBiasHasOneOfManyNames(String name) {
        for (long[] shape : new long[][] {{ROWS}, {1, ROWS}, {ROWS, 1}}) {
            try (Model model = model("{}", matrix(EMBEDDING, ROWS, COLUMNS, 0), f32(name, shape, BIAS))) {
                Logits logits = model.logits(EMBEDDING);
                assertEquals(name, logits.bias());
                assertArrayEquals(BIAS, model.bias(logits));
            }
        }
        Tensor narrow = f32(name, new long[] {ROWS - 1}, 1, 2, 3, 4);
        assertFails(
                InvalidDataException.class,
                () -> logits("{}", matrix(EMBEDDING, ROWS, COLUMNS, 0), narrow),
                directory,
                '"' + name + '"',
                "[4]",
                "5 numbers");
    }

    /** Such a name belongs to many modules; only one of about the vocabulary's size is meant. */
    @ParameterizedTest
    @ValueSource(strings = {"audio.decoder.bias", "output_layer.bias", "projector.output_projection.bias"})
    void aCommonNameOfAnotherSizeIsNoBias(String name) {
        Tensor matrix = matrix(EMBEDDING, 8 * 20, COLUMNS, 0);
        assertEquals(Logits.PLAIN, logits("{}", matrix, f32(name, new long[] {3}, 1, 2, 3)));
        Tensor shorter = f32(name, new long[] {8 * 20 - 4}, new float[8 * 20 - 4]);
        assertFails(InvalidDataException.class, () -> logits("{}", matrix, shorter), '"' + name + '"', "160 numbers");
    }

    @Test
    void aBiasOf64BitsIsRounded() {
        ByteBuffer wide = ByteBuffer.allocate(8 * ROWS).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : BIAS) {
            wide.putDouble(value + 1e-12);
        }
        Tensor bias = new Tensor("lm_head.bias", DType.F64, new long[] {1, ROWS}, MemorySegment.ofArray(wide.array()));
        try (Model model = model("{}", matrix("lm_head.weight", ROWS, COLUMNS, 0), bias)) {
            assertArrayEquals(BIAS, model.bias(model.logits("lm_head.weight")), 1e-6f);
        }
        Tensor whole = new Tensor("lm_head.bias", DType.I64, new long[] {ROWS}, MemorySegment.ofArray(wide.array()));
        assertFails(
                InvalidDataException.class,
                () -> logits("{}", matrix("lm_head.weight", ROWS, COLUMNS, 0), whole),
                "I64");
    }

    @Test
    void aBiasOfAnotherMatrixIsNotTaken() {
        Tensor other = matrix("cls.decoder.weight", 2, COLUMNS, 0);
        Tensor bias = f32("cls.decoder.bias", new long[] {2}, 1, 2);
        Tensor layer = f32("encoder.3.decoder.bias", new long[] {COLUMNS}, 1, 2, 3, 4);
        assertNull(logits("{}", matrix("lm_head.weight", ROWS, COLUMNS, 0), other, bias, layer)
                .bias());
        Tensor same = matrix("cls.decoder.weight", ROWS, COLUMNS, 1);
        Tensor its = f32("cls.decoder.bias", new long[] {ROWS}, BIAS);
        assertNull(logits("{}", matrix("lm_head.weight", ROWS, COLUMNS, 0), same, its)
                .bias());
    }

    @Test
    void twoBiasesAreOneOnlyIfTheyAreEqual() {
        Tensor first = f32("cls.predictions.bias", new long[] {ROWS}, BIAS);
        Tensor second = f32("cls.predictions.decoder.bias", new long[] {ROWS}, BIAS);
        assertEquals(
                first.name(),
                logits("{}", matrix(EMBEDDING, ROWS, COLUMNS, 0), first, second).bias());
        Tensor other = f32("cls.predictions.decoder.bias", new long[] {ROWS}, 1, 2, 3, 4, 5);
        assertFails(
                InvalidDataException.class,
                () -> logits("{}", matrix(EMBEDDING, ROWS, COLUMNS, 0), first, other),
                '"' + first.name() + '"',
                '"' + other.name() + '"',
                "differ");
    }

    private CompressedFixture described(String logits) {
        CompressedFixture fixture =
                CompressedFixture.of(directory, CompressedFixture.matrix().withBias(null));
        fixture.put("its", DType.F32, new byte[4 * CompressedFixture.ROWS], 1, CompressedFixture.ROWS);
        fixture.replaceMetadata("\"tied\"", "\"logits\":" + logits + ",\"tied\"");
        return fixture;
    }

    @Test
    void aFileSaysThemAll() {
        String all =
                "{\"lm_head.weight\":{\"scale\":0.125,\"bias\":\"its\",\"cap\":30.0,\"unknown\":\"who\\u000aknows\"}}";
        try (CompressedFile file = CompressedFile.open(described(all).write(directory.resolve("all.safetensors")))) {
            assertEquals(new Logits(0.125, "its", 30, "who\\u000aknows"), file.logits("embed.weight"));
            assertArrayEquals(
                    new float[CompressedFixture.ROWS],
                    file.softmaxBias(CompressedFixture.NAME).orElseThrow());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[]",
                "{\"lm_head.weight\":3}",
                "{\"embed.weight\":{}}",
                "{\"lm_head.weight\":{\"scale\":0}}",
                "{\"lm_head.weight\":{\"scale\":\"1\"}}",
                "{\"lm_head.weight\":{\"scale\":1e300}}",
                "{\"lm_head.weight\":{\"cap\":-1}}",
                "{\"lm_head.weight\":{\"bias\":7}}",
                "{\"lm_head.weight\":{\"unknown\":true}}",
                "{\"lm_head.weight\":{\"bias\":\"none\"}}",
                "{\"lm_head.weight\":{\"bias\":\"other\"}}"
            })
    void logitsThatCannotBeAreDamage(String logits) {
        Path file = described(logits).write(directory.resolve("damaged.safetensors"));
        assertFails(MalformedFileException.class, () -> CompressedFile.open(file), file, "logits");
    }
}
