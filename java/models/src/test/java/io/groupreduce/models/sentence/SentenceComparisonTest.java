package io.groupreduce.models.sentence;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.models.onnx.TestGraph;
import io.groupreduce.models.text.TokenizerFiles;
import io.groupreduce.testkit.Generators;
import io.groupreduce.vector.VectorBackend;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Models that look words up and turn each by a matrix, and nothing more, so that a test can do the same. */
class SentenceComparisonTest {
    private static final int N = 400;
    private static final int D = 16;
    private static final float[] TABLE = Generators.powerLaw(1, N, D, 0.6);
    private static final float[] TURN = TestGraph.gaussian(2, D * D);

    @TempDir
    Path folder;

    private final List<String> told = new ArrayList<>();
    private final List<String> sentences = new ArrayList<>();
    private Path tokenizer;
    private Path model;
    private Path small;

    @BeforeEach
    void makeModels() throws IOException {
        tokenizer = tokenizer(N, "null");
        model = graph(DataType.FLOAT, TABLE).save(folder.resolve("model.onnx"));
        small = folder.resolve("small.safetensors");
        Random random = new Random(3);
        for (int i = 0; i < 40; i++) {
            sentences.add(random.ints(2 + i % 7L, 0, N).mapToObj(w -> "w" + w).collect(Collectors.joining(" ")));
        }
    }

    /** Words w0, w1, ... */
    private Path tokenizer(int size, String truncation) {
        String words =
                IntStream.range(0, size).mapToObj(w -> "\"w" + w + "\": " + w).collect(Collectors.joining(", "));
        return TokenizerFiles.write(
                folder,
                TokenizerFiles.WORDS
                        .replace("\"the\": 0, \"cat\": 1", words)
                        .replace("\"truncation\": null", "\"truncation\": " + truncation));
    }

    private static TestGraph graph(DataType type, float[] table) {
        TestGraph graph = new TestGraph().tokens("input_ids").input("attention_mask", DataType.INT64, -1, -1);
        graph.initializer(TestGraph.tensor("words.weight", type, TestGraph.bytes(type, table), N, D));
        graph.node("Gather", "words.weight input_ids", "rows");
        graph.node("Cast", "rows", "floats", TestGraph.attribute("to", DataType.FLOAT_VALUE));
        graph.floats("turn", TURN, D, D).node("MatMul", "floats turn", "last_hidden_state");
        return graph.output("last_hidden_state", DataType.FLOAT, -1, -1, D);
    }

    private void compress(double ratio) {
        compress(model, ratio);
    }

    private void compress(Path input, double ratio) {
        CompressionJob job = CompressionJob.of(input, small)
                .withOptions(
                        CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.ratio(ratio)))
                .withOverwrite(true);
        try (Backend backend = new VectorBackend(1)) {
            GroupReduce.compress(job, backend, Progress.NONE, message -> {});
        }
    }

    private SentenceScores run(Path file, int threads, SentencePairs pairs) {
        return new SentenceComparison(model, file, null, threads)
                .run(tokenizer, pairs == null ? sentences : List.of(), pairs, Progress.NONE, told::add);
    }

    /** The vector that such a model gives. */
    private static double[] vector(String sentence, float[] table) {
        double[] vector = new double[D];
        for (String word : sentence.split(" ")) {
            int row = Integer.parseInt(word.substring(1));
            for (int j = 0; j < D; j++) {
                for (int k = 0; k < D; k++) {
                    vector[k] += (double) table[row * D + j] * TURN[j * D + k];
                }
            }
        }
        return vector;
    }

    private static double cosine(double[] a, double[] b) {
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (int k = 0; k < D; k++) {
            ab += a[k] * b[k];
            aa += a[k] * a[k];
            bb += b[k] * b[k];
        }
        return ab / Math.sqrt(aa * bb);
    }

    private void assertExpected(SentenceScores found, float[] table, double tolerance) {
        double[] expected = sentences.stream()
                .mapToDouble(s -> cosine(vector(s, TABLE), vector(s, table)))
                .toArray();
        double worst = IntStream.range(0, expected.length)
                .mapToDouble(i -> expected[i])
                .min()
                .orElseThrow();
        assertEquals(sentences.size(), found.sentences());
        assertEquals(
                IntStream.range(0, expected.length)
                        .mapToDouble(i -> expected[i])
                        .average()
                        .orElseThrow(),
                found.meanCosine(),
                tolerance);
        assertEquals(worst, found.worstCosine(), tolerance);
        assertEquals(worst, found.lowCosine(), tolerance, "of 40");
        assertEquals(worst, expected[sentences.indexOf(found.worst())], tolerance);
        assertTrue(worst < 0.999, "the test would see no difference");
    }

    private float[] decoded() {
        try (CompressedFile file = CompressedFile.open(small)) {
            float[] table = new float[N * D];
            file.require("words.weight").decodeRows(0, N, table, 0);
            return table;
        }
    }

    @Test
    void theRowsOfACompressedFileTakeThePlaceOfTheTable() {
        compress(4);
        SentenceScores found = run(small, 1, null);
        assertEquals("words.weight", found.matrix());
        assertExpected(found, decoded(), 1e-5);
        assertEquals("mean over all tokens of \"last_hidden_state\", as its outputs suggest", found.pooling());
        assertEquals(found, run(small, 3, null), "threads change nothing");
        assertNull(found.ranks());
        assertEquals(List.of(), told);
    }

    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"FLOAT16", "BFLOAT16"})
    void rowsAreRoundedToTheTypeThatTheGraphLooksUp(DataType type) throws IOException {
        model = graph(type, TABLE).save(folder.resolve("half.onnx"));
        compress(4);
        assertExpected(run(small, 1, null), decoded(), 1e-2);
    }

    @Test
    void aFileOfTheSameModelInAnotherFormatHasOtherNames() throws IOException {
        compress(4);
        float[] table = decoded();
        Path other = new TestGraph()
                .tokens("input_ids")
                .floats("onnx::Gather_7", TABLE, N, D)
                .node("Gather", "onnx::Gather_7 input_ids", "rows")
                .floats("turn", TURN, D, D)
                .node("MatMul", "rows turn", "last_hidden_state")
                .output("last_hidden_state", DataType.FLOAT, -1, -1, D)
                .save(folder.resolve("other.onnx"));
        model = other;
        assertExpected(run(small, 1, null), table, 1e-5);
    }

    @Test
    void anExportedModelIsRunAsItIs() throws IOException {
        float[] changed = TABLE.clone();
        Random random = new Random(4);
        for (int i = 0; i < changed.length; i++) {
            changed[i] += 0.3F * (float) random.nextGaussian() * Math.abs(changed[i]);
        }
        Path exported = graph(DataType.FLOAT, changed).save(folder.resolve("small.onnx"));
        SentenceScores found = run(exported, 2, null);
        assertNull(found.matrix());
        assertExpected(found, changed, 1e-5);
        SentenceScores itself = run(model, 1, null);
        assertEquals(1, itself.worstCosine(), 1e-12);
    }

    /** A score that follows the original's own cosines: it keeps all of its correlation, the compressed model loses some. */
    private SentencePairs pairs() {
        List<String> first = sentences.subList(0, 20);
        List<String> second = sentences.subList(20, 40);
        double[] scores = IntStream.range(0, 20)
                .mapToDouble(i -> cosine(vector(first.get(i), TABLE), vector(second.get(i), TABLE)))
                .toArray();
        return new SentencePairs(first, second, scores, "columns");
    }

    @Test
    void pairsAreRankedByBothModels() {
        compress(8);
        SentencePairs pairs = pairs();
        SentenceScores.Ranks found = run(small, 2, pairs).ranks();
        float[] table = decoded();
        double[] after = IntStream.range(0, 20)
                .mapToDouble(i -> cosine(
                        vector(pairs.first().get(i), table),
                        vector(pairs.second().get(i), table)))
                .toArray();
        assertEquals(20, found.pairs());
        assertEquals(1, found.before(), 1e-12);
        assertEquals(RankCorrelation.of(pairs.scores(), after), found.after(), 1e-12);
        assertEquals(found.after() - found.before(), found.difference().mean(), 1e-12);
        assertTrue(found.after() < 0.9999 && found.difference().low() < 0, found.toString());
    }

    @Test
    void longSentencesAreCutAsTheTokenizerSays() {
        tokenizer = tokenizer(
                N, "{\"direction\": \"Right\", \"max_length\": 3, \"strategy\": \"LongestFirst\", \"stride\": 0}");
        compress(4);
        long longer = sentences.stream().filter(s -> s.split(" ").length > 3).count();
        SentenceScores found = run(small, 1, null);
        assertEquals(longer, found.cut());
        sentences.replaceAll(SentenceComparisonTest::firstThree);
        SentenceScores cut = new SentenceScores(
                found.sentences(),
                found.cut(),
                found.meanCosine(),
                found.lowCosine(),
                found.worstCosine(),
                firstThree(found.worst()),
                found.pooling(),
                found.matrix(),
                null);
        assertExpected(cut, decoded(), 1e-5);
    }

    private static String firstThree(String sentence) {
        return Arrays.stream(sentence.split(" ")).limit(3).collect(Collectors.joining(" "));
    }

    private void assertRefused(Path file, String part) {
        String said = assertThrows(InvalidDataException.class, () -> run(file, 1, null))
                .getMessage();
        assertTrue(said.contains(part) && said.endsWith("."), said);
    }

    @Test
    void aTokenizerOfAnotherSize() {
        compress(4);
        tokenizer = tokenizer(N + 1, "null");
        assertRefused(small, "has 401 tokens, but the embedding \"words.weight\" has 400 rows; take the tokenizer");
        tokenizer = tokenizer(N - 20, "null");
        sentences.removeIf(s -> s.matches(".*w3[89]\\d.*"));
        assertEquals(sentences.size(), run(small, 1, null).sentences(), "an embedding may be padded");
        assertFalse(told.stream().anyMatch(s -> s.contains("rows")));
    }

    @Test
    void whatIsOfAnotherModel() throws IOException {
        Path narrow = new TestGraph()
                .tokens("input_ids")
                .gaussian("words", 5, N, 8)
                .node("Gather", "words input_ids", "last_hidden_state")
                .output("last_hidden_state", DataType.FLOAT, -1, -1, 8)
                .save(folder.resolve("narrow.onnx"));
        assertRefused(narrow, "narrow.onnx makes vectors of 8 numbers");
        compress(narrow, 4);
        assertRefused(small, "model.onnx has no place for the compressed \"words\" of");
    }

    @Test
    void vectorsWithoutDirection() throws IOException {
        Path zeros = graph(DataType.FLOAT, new float[N * D]).save(folder.resolve("zeros.onnx"));
        assertRefused(zeros, "zeros.onnx gives a sentence of");
        float[] table = TABLE.clone();
        table[7 * D] = Float.NaN;
        sentences.add("w7");
        assertRefused(graph(DataType.FLOAT, table).save(folder.resolve("nan.onnx")), "that holds NaN or infinity");
        float[] ones = new float[N * D];
        Arrays.fill(ones, 1);
        model = new TestGraph()
                .tokens("input_ids")
                .floats("ones", ones, N, D)
                .node("Gather", "ones input_ids", "last_hidden_state")
                .output("last_hidden_state", DataType.FLOAT, -1, -1, D)
                .save(folder.resolve("ones.onnx"));
        SentencePairs pairs = pairs();
        String said = assertThrows(InvalidDataException.class, () -> run(model, 1, pairs))
                .getMessage();
        assertTrue(said.contains("ones.onnx gives all pairs the cosine 1.0, so they have no order"), said);
    }

    @Test
    void linesAreSentences() throws IOException {
        Path text = Files.writeString(folder.resolve("text.txt"), "\n one two \r\n\t\nthree\n");
        assertEquals(List.of("one two", "three"), SentenceComparison.sentences(text));
        Files.writeString(text, " \n\t\r\n");
        String said = assertThrows(InvalidDataException.class, () -> SentenceComparison.sentences(text))
                .getMessage();
        assertTrue(said.contains("holds no sentence, only blank lines"), said);
    }
}
