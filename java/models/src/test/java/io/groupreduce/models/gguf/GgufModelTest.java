package io.groupreduce.models.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.VocabularyMatrix;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufModelTest {
    private static final int ROWS = 96;
    private static final int COLUMNS = 64;

    @TempDir
    Path folder;

    private static float[] normal(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Random codes in blocks of Q8_0 with the scale 2^-6. */
    private static byte[] q8(long seed) {
        byte[] blocks = new byte[ROWS * COLUMNS / 32 * 34];
        new Random(seed).nextBytes(blocks);
        for (int at = 0; at < blocks.length; at += 34) {
            blocks[at] = 0;
            blocks[at + 1] = 0x24;
        }
        return blocks;
    }

    private static TestGguf model(String architecture) {
        return new TestGguf()
                .with("general.architecture", architecture)
                .floats("blk.0.attn_q.weight", normal(3, 64), 8, 8);
    }

    private static TestGguf withEmbedding(String architecture) {
        return model(architecture).floats("token_embd.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS);
    }

    private Path file(TestGguf written) {
        return written.write(folder.resolve("model.gguf"));
    }

    private static VocabularyMatrix only(Model model) {
        assertEquals(1, model.vocabulary().size());
        return model.vocabulary().get(0);
    }

    @Test
    void anEmbeddingAloneIsTheOutputToo() {
        try (Model model = Model.open(file(withEmbedding("llama")))) {
            VocabularyMatrix found = only(model);
            assertEquals(Model.Role.EMBEDDING, found.role());
            assertTrue(found.taken() && found.servesAsOutput());
            assertEquals("token_embd.weight", model.outputMatrix());
            assertArrayEquals(new long[] {ROWS, COLUMNS}, found.tensor().shape());
            float[] row = new float[COLUMNS];
            model.matrix("token_embd.weight").readRow(1, row, 0);
            assertEquals(normal(1, 2 * COLUMNS)[COLUMNS + 5], row[5]);
            assertTrue(model.isConfigured() && model.isForeign());
        }
    }

    @Test
    void quantisedNumbersAreDecodedAndSizesAreThoseOfTheFile() {
        byte[] blocks = q8(5);
        try (Model model = Model.open(file(model("qwen2").tensor("token_embd.weight", 8, blocks, COLUMNS, ROWS)))) {
            Matrix matrix = model.matrix("token_embd.weight");
            assertEquals("Q8_0", matrix.storedType());
            assertEquals(blocks.length, matrix.storedBytes());
            assertEquals(4L * ROWS * COLUMNS, matrix.bytes());
            float[] row = new float[COLUMNS];
            matrix.readRow(ROWS - 1, row, 0);
            assertEquals(blocks[blocks.length - 1] / 64f, row[COLUMNS - 1]);
            String note = model.notes().get(0);
            assertTrue(note.startsWith("token_embd.weight is stored as Q8_0, 8.500 bits a number"), note);
            assertTrue(note.contains("6,528 bytes in the file, not of the 24,576"), note);
        }
    }

    @Test
    void rolesOfTwoMatrices() {
        TestGguf written = withEmbedding("llama")
                .floats("output.weight", normal(2, ROWS * COLUMNS), COLUMNS, ROWS)
                .floats("output.bias", normal(4, ROWS), ROWS);
        try (Model model = Model.open(file(written))) {
            assertEquals(List.of("token_embd.weight", "output.weight"), model.matrices());
            assertEquals("output.weight", model.outputMatrix());
            assertFalse(model.servesAsOutput("token_embd.weight"));
            assertEquals(new Logits(1, "output.bias", 0, null), model.logits("output.weight"));
        }
        VocabularyChoice other = new VocabularyChoice("token_embd.weight", "output.weight", null);
        try (Model model = Model.open(file(written), other)) {
            assertEquals("token_embd.weight", model.outputMatrix());
        }
        VocabularyChoice bias = new VocabularyChoice(null, null, "blk.0.attn_q.weight");
        assertRefused(written, bias, "has type F32 and shape [8, 8]; 96 numbers are needed for a bias");
        assertRefused(written, new VocabularyChoice("x", null, null), "has no tensor \"x\"");
    }

    @Test
    void anOutputThatRepeatsTheEmbeddingIsTied() {
        TestGguf written = withEmbedding("llama").floats("output.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS);
        try (Model model = Model.open(file(written))) {
            assertEquals(List.of("token_embd.weight"), model.matrices());
            assertEquals("token_embd.weight", model.duplicates().get("output.weight"));
            assertTrue(model.servesAsOutput("token_embd.weight"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bert", "nomic-bert-moe", "t5encoder", "gemma-embedding"})
    void modelsOfEmbeddingsHaveNoOutput(String architecture) {
        try (Model model = Model.open(file(withEmbedding(architecture)))) {
            assertFalse(only(model).servesAsOutput());
            assertTrue(model.withoutOutput().orElseThrow().contains("makes no logits"));
        }
    }

    @Test
    void aDecoderThatIsPooledHasNoOutput() {
        try (Model model = Model.open(file(withEmbedding("qwen3").with("qwen3.pooling_type", 3)))) {
            assertFalse(only(model).servesAsOutput());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "llama, , , 1, 0, ",
        "llama, embedding_scale, 12, 1, 0, ",
        "llama, attn_logit_softcapping, 50, 1, 0, ",
        "command-r, logit_scale, 0.25, 0.25, 0, ",
        "granite, logit_scale, 8, 0.125, 0, ",
        "minicpm, logit_scale, 4, 0.25, 0, ",
        "minicpm, , , 1, 0, scales its logits and",
        "minicpm3, , , 4, 0, ",
        "grok, , , 1, 0, scales its logits and",
        "gemma2, , , 1, 30, ",
        "gemma2, final_logit_softcapping, 20, 1, 20, ",
        "llama, logit_scale, 2, 1, 0, how the architecture",
        "llama, logit_scale, 1, 1, 0, ",
        "llama, final_logit_shift, 2, 1, 0, may change the logits",
        "command-r, logit_scale, -1, 1, 0, scale the logits by -1.0"
    })
    void logits(String architecture, String key, Float value, double scale, double cap, String unknown) {
        TestGguf written = withEmbedding(architecture);
        if (key != null) {
            written.with(architecture + "." + key, value);
        }
        try (Model model = Model.open(file(written))) {
            Logits logits = model.logits("token_embd.weight");
            assertEquals(scale, logits.scale());
            assertEquals(cap, logits.cap());
            assertEquals(unknown == null, logits.unknown() == null, logits.unknown());
            assertTrue(unknown == null || logits.unknown().replace(",", "").contains(unknown), logits.unknown());
        }
    }

    @Test
    void aFactorWithABiasOrInATensorIsUnknown() {
        TestGguf biased = withEmbedding("command-r")
                .with("command-r.logit_scale", 0.5f)
                .floats("output.bias", normal(4, ROWS), ROWS);
        try (Model model = Model.open(file(biased))) {
            assertTrue(model.logits("token_embd.weight").unknown().contains("whether that includes the bias"));
        }
        try (Model model = Model.open(file(withEmbedding("llama").floats("output.scale", normal(1, 1), 1)))) {
            assertTrue(model.logits("token_embd.weight").unknown().contains("\"output.scale\""));
        }
    }

    @Test
    void aTypeThatIsNotReadIsNamed() {
        TestGguf written = model("llama").tensor("token_embd.weight", 39, new byte[2 * 17], 32, 2);
        try (Model model = Model.open(file(written))) {
            VocabularyMatrix found = only(model);
            assertFalse(found.taken());
            assertTrue(found.why().startsWith("is stored as MXFP4 (type 39), which is not read here"), found.why());
            assertTrue(model.withoutOutput().isPresent());
        }
        CompressionJob job = CompressionJob.of(folder.resolve("model.gguf"), folder.resolve("small.safetensors"));
        String message =
                assertThrows(InvalidDataException.class, () -> compress(job)).getMessage();
        assertTrue(message.contains("tensor \"token_embd.weight\" is stored as MXFP4"), message);
    }

    @Test
    void anythingElseUnderTheNameIsRefused() {
        assertRefused(folder.resolve("x.gguf"), new byte[200], "x.gguf is no GGUF file");
    }

    @Test
    void compressesFromEndToEnd() {
        Path small = folder.resolve("small.safetensors");
        byte[] blocks = q8(5);
        TestGguf written = model("llama")
                .tensor("token_embd.weight", 8, blocks, COLUMNS, ROWS)
                .floats("output.bias", normal(4, ROWS), ROWS);
        CompressionJob job = CompressionJob.of(file(written), small)
                .withOptions(
                        CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.ratio(2)));
        List<String> told = new ArrayList<>();
        CompressionSummary summary = compress(job, told).get(0);
        assertEquals("Q8_0", summary.storedType());
        assertEquals(blocks.length, summary.sourceBytes());
        assertTrue(summary.bytes() <= blocks.length / 2, summary.bytes() + " bytes");
        assertTrue(told.get(0).contains("stored as Q8_0"), told.toString());
        try (CompressedFile opened = CompressedFile.open(small)) {
            assertEquals(List.of("output.bias"), List.copyOf(opened.copied().keySet()));
            assertEquals("Q8_0", opened.provenance("token_embd.weight").get("sourceType"));
            assertEquals("F32", opened.provenance("token_embd.weight").get("dtype"));
            assertEquals("output.bias", opened.logits("token_embd.weight").bias());
            assertNull(opened.logits("token_embd.weight").unknown());
        }
    }

    private static List<CompressionSummary> compress(CompressionJob job) {
        return compress(job, new ArrayList<>());
    }

    private static List<CompressionSummary> compress(CompressionJob job, List<String> told) {
        return GroupReduce.compress(
                job, BackendSelection.select(Device.REFERENCE, 1).backend(), (step, done) -> {}, told::add);
    }

    private void assertRefused(Path file, byte[] content, String message) {
        try {
            java.nio.file.Files.write(file, content);
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
        assertTrue(
                assertThrows(GroupReduceException.class, () -> Model.open(file).close())
                        .getMessage()
                        .contains(message));
    }

    private void assertRefused(TestGguf written, VocabularyChoice choice, String message) {
        String said = assertThrows(InvalidDataException.class, () -> Model.open(file(written), choice)
                        .close())
                .getMessage();
        assertTrue(said.contains(message), said);
    }
}
