package io.groupreduce.models.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.Progress;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Safetensors;
import io.groupreduce.models.onnx.TestGraph;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A language in which word i is followed by word 5 i + 3, most of the time, and models that know it. */
final class CollectorTest {
    private static final int WORDS = 64;
    private static final int D = 32;
    private static final int TOKENS = 1000;
    private static final int MASK = WORDS;

    /** Rows of the models: more than tokens, as vocabularies are padded. */
    private static final int ROWS = WORDS + 8;

    @TempDir
    Path folder;

    private final float[] table = TestGraph.gaussian(7, ROWS * D);
    private final int[] language = language();
    private Path tokenizer;
    private Path text;

    private static int next(int word) {
        return (5 * word + 3) % WORDS;
    }

    private static int[] language() {
        Random random = new Random(5);
        int[] words = new int[TOKENS];
        for (int t = 1; t < TOKENS; t++) {
            words[t] = random.nextInt(10) == 0 ? random.nextInt(WORDS) : next(words[t - 1]);
        }
        return words;
    }

    @BeforeEach
    void files() throws IOException {
        tokenizer = tokenizer("tokenizer.json", WORDS, "[MASK]");
        text = folder.resolve("text.txt");
        Files.writeString(text, Arrays.stream(language).mapToObj(w -> "w" + w).collect(Collectors.joining(" ")) + "\n");
    }

    /** Words w0, w1 ..., and a special token behind them. */
    private Path tokenizer(String name, int words, String special) throws IOException {
        String vocabulary =
                IntStream.range(0, words).mapToObj(w -> "\"w" + w + "\": " + w).collect(Collectors.joining(", "));
        return Files.writeString(folder.resolve(name), """
                {"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
                 "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
                 "added_tokens": [{"id": %d, "content": "%s", "single_word": false, "lstrip": false, "rstrip": false,
                                   "normalized": false, "special": true}],
                 "model": {"type": "WordLevel", "vocab": {%s, "%s": %d}, "unk_token": "w0"}}
                """.formatted(words, special, vocabulary, special, words));
    }

    /** Row j of the head is the vector of the word that j follows. */
    private float[] head() {
        float[] head = TestGraph.gaussian(8, ROWS * D);
        for (int i = 0; i < WORDS; i++) {
            System.arraycopy(table, i * D, head, next(i) * D, D);
        }
        return head;
    }

    private TestGraph embedding() {
        return new TestGraph()
                .tokens("input_ids")
                .floats("table", table, ROWS, D)
                .floats("head", TestGraph.transposed(head(), ROWS, D), D, ROWS)
                .node("Gather", "table input_ids", "rows");
    }

    private Path save(TestGraph graph) throws IOException {
        return graph.save(folder.resolve("model.onnx"));
    }

    /** Guesses the next word from the last one. */
    private Path decoder() throws IOException {
        return save(embedding()
                .node("Identity", "rows", "hidden")
                .node("MatMul", "hidden head", "logits")
                .output("logits", DataType.FLOAT, -1, -1, ROWS));
    }

    /** Guesses a word from the one before it, and sees the one behind it. */
    private Path masked() throws IOException {
        return save(embedding()
                .longs("later", 0, 1, 0, 0, -1, 0)
                .longs("sooner", 0, -1, 0, 0, 1, 0)
                .scalar("little", 0.01f)
                .node("Pad", "rows later", "left")
                .node("Pad", "rows sooner", "right")
                .node("Mul", "right little", "trace")
                .node("Add", "left trace", "hidden")
                .node("MatMul", "hidden head", "logits")
                .output("logits", DataType.FLOAT, -1, -1, ROWS));
    }

    @Test
    void standardInputCannotBeReadTwice() {
        Path model = folder.resolve("model.onnx");
        List<Path> texts = List.of(Path.of("-"));
        InvalidOptionException refused = assertThrows(
                InvalidOptionException.class,
                () -> new CollectJob(model, model, texts, folder.resolve("out"), VocabularyChoice.NONE, 0, 0, 1));
        assertEquals(
                "The texts are read twice, which standard input (-) cannot be; write it to a file and name that.",
                refused.getMessage());
    }

    private CollectJob job(Path model, int states, int length, int threads) {
        return new CollectJob(
                model,
                tokenizer,
                List.of(text),
                folder.resolve("hidden.safetensors"),
                VocabularyChoice.NONE,
                states,
                length,
                threads);
    }

    private final List<String> told = new ArrayList<>();

    private Collected collect(CollectJob job) {
        return Collector.collect(job, Progress.NONE, told::add);
    }

    @Test
    void ofADecoderWhatMeetsTheOutputMatrixAndTheNextToken() throws IOException {
        Collected found = collect(job(decoder(), 100, 20, 1));
        assertEquals("head", found.tensor());
        assertEquals(100, found.states());
        assertEquals(10, found.sequences());
        assertEquals(TOKENS, found.tokens());
        assertEquals(Collected.Kind.NEXT_TOKENS, found.kind());
        assertTrue(found.crossEntropy() < 3, "cross-entropy " + found.crossEntropy());
        try (HiddenStates states = HiddenStates.open(folder.resolve("hidden.safetensors"))) {
            int expected = 0;
            float[] row = new float[D];
            for (int t = 0; t < 100; t++) {
                states.hidden().readRow(t, row, 0);
                int word = word(row);
                expected += states.targets()[t] == next(word) ? 1 : 0;
            }
            assertTrue(expected > 80, expected + " of 100 targets follow their words");
        }
    }

    private int word(float[] hidden) {
        for (int word = 0; word < WORDS; word++) {
            boolean same = true;
            for (int d = 0; d < D; d++) {
                same &= hidden[d] == Float.float16ToFloat(Float.floatToFloat16(table[word * D + d]));
            }
            if (same) {
                return word;
            }
        }
        throw new AssertionError("no word has the vector " + Arrays.toString(hidden));
    }

    @Test
    void ofAModelThatSeesAllTokensTheMaskedOnes() throws IOException {
        Collected found = collect(job(masked(), 1000, 50, 1));
        assertEquals(Collected.Kind.MASKED_TOKENS, found.kind());
        assertEquals(20 * 8, found.states());
        assertTrue(found.crossEntropy() < 1.5, "cross-entropy " + found.crossEntropy());
        try (HiddenStates states = HiddenStates.open(folder.resolve("hidden.safetensors"))) {
            assertFalse(Arrays.stream(states.targets()).anyMatch(target -> target == MASK));
        }
        tokenizer = tokenizer("without.json", WORDS, "[PAD]");
        assertTrue(refusal(masked()).contains("has no [MASK] or <mask>"));
    }

    /** An encoder that stretches the directions of its embedding and does not look at the last ones. */
    private Path encoder() throws IOException {
        float[] stretch = new float[D];
        for (int d = 0; d < D / 2; d++) {
            stretch[d] = 1 + d % 4;
        }
        return save(new TestGraph()
                .tokens("input_ids")
                .floats("table", table, ROWS, D)
                .floats("stretch", stretch, D)
                .node("Gather", "table input_ids", "rows")
                .node("Mul", "rows stretch", "last_hidden_state")
                .output("last_hidden_state", DataType.FLOAT, -1, -1, D));
    }

    @Test
    void ofAnEncoderHowItsEmbeddingOfATextDependsOnThoseOfTokens() throws IOException {
        Collected found = collect(job(encoder(), 600, 10, 1));
        assertEquals(Collected.Kind.METRIC, found.kind());
        assertEquals("table", found.tensor());
        assertEquals(60, found.sequences());
        Path output = folder.resolve("hidden.safetensors");
        try (Safetensors file = Safetensors.open(output)) {
            float[] metric = file.require("metric").floats();
            double trace = 0;
            for (int p = 0; p < D; p++) {
                trace += metric[p * D + p];
                for (int q = 0; q < D; q++) {
                    assertEquals(metric[p * D + q], metric[q * D + p]);
                    // Squares of the stretches, scaled to a mean of 1.
                    boolean counts = p < D / 2 && q < D / 2;
                    double expected = counts && p == q ? (1 + p % 4) * (1 + p % 4) * 2 / 7.5 : 0;
                    assertEquals(expected, metric[p * D + q], counts ? 0.35 * expected + 0.3 : 1e-5, p + ", " + q);
                }
            }
            assertEquals(D, trace, 1e-3);
        }
        byte[] whole = Files.readAllBytes(output);
        Files.delete(output);
        assertEquals(32, collect(job(folder.resolve("model.onnx"), 0, 0, 1)).sequences());
        Files.delete(output);
        CollectJob job = job(folder.resolve("model.onnx"), 600, 10, 2);
        interrupt(job, 7);
        assertTrue(collect(job).resumed() > 0);
        assertArrayEquals(whole, Files.readAllBytes(output));
    }

    @Test
    void anInterruptedRunGoesOnAndGivesTheSameBytes() throws IOException {
        Path output = folder.resolve("hidden.safetensors");
        Path part = folder.resolve("hidden.safetensors.part");
        CollectJob job = job(decoder(), 150, 20, 1);
        collect(job);
        byte[] whole = Files.readAllBytes(output);
        Files.delete(output);
        Collected parallel = collect(job(job.model(), 150, 20, 3));
        assertEquals(0, parallel.resumed());
        assertArrayEquals(whole, Files.readAllBytes(output));
        Files.delete(output);
        interrupt(job, 4);
        assertTrue(Files.exists(part));
        assertFalse(Files.exists(output));
        assertEquals(4, collect(job).resumed());
        assertArrayEquals(whole, Files.readAllBytes(output));
        assertFalse(Files.exists(part));
        assertEquals(List.of(), told);

        Path taken = Files.writeString(part, "somebody's");
        assertThrows(FileAccessException.class, () -> collect(job));
        Files.delete(taken);
        Files.delete(output);
        interrupt(job, 4);
        Collected other = collect(job(job.model(), 140, 20, 1));
        assertEquals(0, other.resumed());
        assertEquals(1, told.size());
        assertNotEquals(whole.length, Files.size(output));
    }

    /** Ends a run before its sequence of this index. */
    private void interrupt(CollectJob job, int index) {
        int[] heard = {0};
        Progress stop = (step, fraction) -> {
            if (step.startsWith("running") && heard[0]++ == index) {
                throw new IllegalStateException("interrupted");
            }
        };
        assertThrows(IllegalStateException.class, () -> Collector.collect(job, stop, told::add));
    }

    @Test
    void whatDoesNotFitIsRefusedAndLeavesNothing() throws IOException {
        Path decoder = decoder();
        Path right = tokenizer;
        tokenizer = tokenizer("larger.json", ROWS + 5, "[MASK]");
        String larger = refusal(decoder);
        assertTrue(larger.contains((ROWS + 6) + " tokens") && larger.contains(ROWS + " rows"), larger);
        tokenizer = tokenizer("smaller.json", 20, "[MASK]");
        assertTrue(refusal(decoder).contains("21 tokens"));
        tokenizer = right;

        Files.writeString(text, "   \n");
        assertTrue(refusal(decoder).contains("no text of two tokens"));
        Files.write(text, new byte[] {(byte) 0xc3, 0x28});
        assertTrue(refusal(decoder).contains("UTF-8"));
        Random random = new Random(1);
        Files.writeString(
                text, random.ints(TOKENS, 0, WORDS).mapToObj(w -> "w" + w).collect(Collectors.joining(" ")));
        assertTrue(refusal(decoder).contains("guessing blindly has ln 72 = 4.28"));
        files();

        assertTrue(refusal(save(new TestGraph()
                        .tokens("input_ids")
                        .node("Cast", "input_ids", "numbers", TestGraph.attribute("to", DataType.FLOAT.getNumber()))
                        .output("numbers", DataType.FLOAT, -1, -1)))
                .contains("no look-up by token ids"));
        assertTrue(refusal(save(embedding()
                        .longs("last", -1)
                        .node("Gather", "rows last", "hidden", TestGraph.attribute("axis", 1))
                        .node("MatMul", "hidden head", "logits")
                        .output("logits", DataType.FLOAT, -1, -1, ROWS)))
                .contains("export it with the logits of all positions"));
        assertTrue(refusal(save(embedding()
                        .scalar("half", 0.5f)
                        .node("Pow", "head half", "power")
                        .node("MatMul", "rows power", "logits")
                        .output("logits", DataType.FLOAT, -1, -1, ROWS)))
                .contains("no product that makes them of hidden states was found"));
        try (var left = Files.list(folder)) {
            assertTrue(left.noneMatch(file -> file.toString().contains("hidden")));
        }
    }

    @Test
    void aModelOfOneLengthSetsIt() throws IOException {
        Path fixed = save(new TestGraph()
                .input("input_ids", DataType.INT32, 1, 10)
                .floats("table", table, ROWS, D)
                .floats("head", TestGraph.transposed(head(), ROWS, D), D, ROWS)
                .node("Gather", "table input_ids", "hidden")
                .node("MatMul", "hidden head", "logits")
                .output("logits", DataType.FLOAT, 1, 10, ROWS));
        assertEquals(10, collect(job(fixed, 10, 0, 1)).length());
        Files.delete(folder.resolve("hidden.safetensors"));
        InvalidDataException e = assertThrows(InvalidDataException.class, () -> collect(job(fixed, 10, 12, 1)));
        assertTrue(e.getMessage().contains("takes sequences of 10 tokens alone"));
        Files.writeString(text, "w1 w8 w43");
        assertThrows(InvalidDataException.class, () -> collect(job(fixed, 10, 0, 1)));
    }

    @Test
    void whatTheRuntimeCannotRunIsSaidInItsWords() throws IOException {
        Path positions = save(embedding()
                .input("position_ids", DataType.INT64, -1, -1)
                .floats("positions", new float[12 * D], 12, D)
                .node("Gather", "positions position_ids", "where")
                .node("Add", "rows where", "hidden")
                .node("MatMul", "hidden head", "logits")
                .output("logits", DataType.FLOAT, -1, -1, ROWS));
        assertEquals(12, collect(job(positions, 10, 12, 1)).length());
        DeviceException e = assertThrows(DeviceException.class, () -> collect(job(positions, 10, 13, 1)));
        assertTrue(e.getMessage().contains("cannot be run by ONNX Runtime: "), e.getMessage());
    }

    private String refusal(Path model) {
        return assertThrows(InvalidDataException.class, () -> collect(job(model, 100, 20, 1)))
                .getMessage();
    }
}
