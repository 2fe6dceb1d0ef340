package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import io.groupreduce.EmbeddingTable;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.Backend;
import io.groupreduce.testkit.MatrixBuilder.Layout;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a {@link SoftmaxHead} on a backend must endure: many threads, many calls, numbers too large. Not public: part of {@link
 * InferenceContract}.
 */
abstract class HeadContract extends Contract {
    /**
     * What a call may allocate in steady state: a few small objects, such as the wrapper of an array as a segment or the task
     * that is given to workers, but no array that grows with states, width, k or vocabulary.
     */
    private static final long SLACK_BYTES = 512;

    private static final int CALLS = 200;

    private static final int FEW_CALLS = 20;

    /** Calls until which kernels are compiled and stop boxing vectors. */
    private static final int MOST_ROUNDS = 400;

    /** Whether queries reuse their memory; only a backend made to be read may say no. */
    protected boolean allocatesNothing() {
        return true;
    }

    /** Whether queries may leave work out by bounds; what leaves nothing out is asked about that only briefly. */
    protected boolean prunes() {
        return true;
    }

    /** Whether arithmetic is emulated and takes a hundred times as long: the same is asked, but repeated less often. */
    protected boolean emulated() {
        return false;
    }

    /**
     * Sixteen threads ask, open and close for some seconds; {@code -Dgroupreduce.hammer.seconds=60} is the full run.
     */
    @Test
    @Tag("long")
    void manyThreadsCorruptAndLeakNothing(@TempDir Path directory) throws Exception {
        int seconds = Integer.getInteger("groupreduce.hammer.seconds", 3);
        new HeadHammer(this::backend, directory).run(seconds);
    }

    @Test
    @Tag("long")
    void queriesAllocateNothingInSteadyState() {
        assumeTrue(allocatesNothing(), "this backend is made to be read");
        int states = 16;
        try (InferenceCase c = InferenceCase.steep(51, 1);
                Backend tested = backend(1);
                SoftmaxHead head = SoftmaxHead.of(
                        tested, c.matrix, c.bias, HeadOptions.defaults().withPruning(Pruning.AUTO));
                EmbeddingTable table = EmbeddingTable.of(tested, c.matrix);
                Arena arena = Arena.ofShared()) {
            float[] hidden = Arrays.copyOf(c.hidden, states * c.matrix.columns());
            float[] one = Arrays.copyOf(c.hidden, c.matrix.columns());
            MemorySegment segment = arena.allocate(4L * hidden.length + 1, 4).asSlice(1, 4L * hidden.length);
            segment.copyFrom(MemorySegment.ofArray(hidden));
            MemorySegment room = arena.allocate(4L * states * c.matrix.rows(), 4);
            int[] tokens = new int[states];
            float[] floats = new float[states * c.matrix.rows()];
            double[] doubles = new double[states];
            RankedTokens ranked = RankedTokens.of(states, 10);
            RankedTokens first = RankedTokens.ofLogits(1, 10);
            Sampling all = Sampling.temperature(1);
            Sampling some =
                    Sampling.temperature(0.8).withTopK(50).withTopP(0.95).withMinP(0.01);
            Map<String, Runnable> queries = new LinkedHashMap<>();
            queries.put("greedy of one", () -> head.greedy(one, tokens));
            queries.put("greedy", () -> head.greedy(hidden, tokens));
            queries.put("greedy of a segment", () -> head.greedy(segment, tokens));
            queries.put("top logits of one", () -> head.top(one, first));
            queries.put("top", () -> head.top(hidden, ranked));
            queries.put("log-probabilities", () -> head.logProbabilities(hidden, tokens, floats));
            queries.put("sample", () -> head.sample(hidden, all, 7, tokens));
            queries.put("sample of some", () -> head.sample(hidden, some, 7, tokens));
            queries.put("log-sum-exp", () -> head.logSumExp(hidden, doubles));
            queries.put("logits", () -> head.logits(hidden, floats));
            queries.put("logits in a segment", () -> head.logits(segment, room));
            queries.put("rows", () -> table.rows(tokens, floats, 0));
            queries.put("rows in a segment", () -> table.rows(tokens, room));
            int calls = emulated() ? FEW_CALLS : CALLS;
            queries.forEach((name, query) -> assertAllocatesNothing(name, query, calls));
        }
    }

    /** Rounds go on until one allocates nothing, so that slow compilation is not mistaken for a leak. */
    private static void assertAllocatesNothing(String name, Runnable query, int calls) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int round = 0; round < MOST_ROUNDS && least > SLACK_BYTES * calls; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < calls; i++) {
                query.run();
            }
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertTrue(least <= SLACK_BYTES * calls, name + " allocates " + least / calls + " bytes a call");
    }

    @Test
    void logitsBeyondBinary32AreToldAndTheHeadStaysUsable() {
        try (Arena arena = Arena.ofShared();
                Backend tested = backend(2)) {
            int columns = 37;
            CompressedMatrix matrix = new MatrixBuilder(arena, 1, columns)
                    .dense(Layout.F32, Numbers.SMOOTH, 150)
                    .dense(new Layout(Codec.INT8, ScaleFormat.F32, true), Numbers.SMOOTH, 150)
                    .build("too large");
            float[] row = new float[columns];
            matrix.decodeRows(17, 1, row, 0);
            for (Pruning pruning : Pruning.values()) {
                try (SoftmaxHead head = SoftmaxHead.of(
                        tested, matrix, null, HeadOptions.defaults().withPruning(pruning))) {
                    float[] hidden = new float[columns];
                    for (int j = 0; j < columns; j++) {
                        hidden[j] = Math.copySign(3e38f, row[j]);
                    }
                    assertTold(0, () -> head.greedy(hidden));
                    assertTold(0, () -> head.topK(hidden, 3));
                    assertTold(0, () -> head.topLogits(hidden, 3));
                    assertTold(0, () -> head.logProbabilities(hidden, new int[] {17}));
                    assertTold(0, () -> head.logSumExp(hidden));
                    assertTold(0, () -> head.sample(hidden, Sampling.temperature(1), 1));
                    assertTold(
                            0, () -> head.sample(hidden, Sampling.temperature(1).withTopK(2), 1));
                    assertTold(0, () -> head.logits(hidden, new float[300]));
                    assertEquals(1, head.greedy(row).length);
                }
            }
        }
    }

    /** Far beyond any model, and squares of theirs leave binary32: but logits do not. */
    @Test
    void largeStatesThatAreTakenAreAnsweredByEveryQuery() {
        try (Arena arena = Arena.ofShared();
                Backend tested = backend(2)) {
            int columns = 37;
            CompressedMatrix matrix = new MatrixBuilder(arena, 1, columns)
                    .basis(9, Numbers.SMOOTH)
                    .group(0, 9, new Layout(Codec.INT8, ScaleFormat.F32, false), Numbers.SMOOTH, 900)
                    .dense(Layout.F32, Numbers.SMOOTH, 150)
                    .dense(new Layout(Codec.INT8, ScaleFormat.F32, true), Numbers.SMOOTH, 150)
                    .build("large");
            float[] row = new float[columns];
            matrix.decodeRows(17, 1, row, 0);
            for (Pruning pruning : Pruning.values()) {
                try (SoftmaxHead head = SoftmaxHead.of(
                        tested, matrix, null, HeadOptions.defaults().withPruning(pruning))) {
                    for (float size : new float[] {1e12f, 1e21f, 1e29f}) {
                        float[] hidden = new float[columns];
                        for (int j = 0; j < columns; j++) {
                            hidden[j] = size * row[j];
                        }
                        assertOneTokenIsCertain(head, hidden);
                    }
                }
            }
        }
    }

    /** Where logits are that far apart the likeliest token has all the probability. */
    private static void assertOneTokenIsCertain(SoftmaxHead head, float[] hidden) {
        float[] logits = new float[head.vocabularySize()];
        head.logits(hidden, logits);
        int best = 0;
        for (int i = 0; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        String what = head.device() + ", logit " + logits[best];
        assertEquals(best, head.greedy(hidden)[0], what);
        assertEquals(best, head.topLogits(hidden, 3).token(0, 0), what);
        assertEquals(best, head.topK(hidden, 3).token(0, 0), what);
        assertEquals(0, head.logProbabilities(hidden, new int[] {best})[0], 1e-5 * logits[best], what);
        assertEquals(logits[best], head.logSumExp(hidden)[0], 1e-5 * logits[best], what);
        assertEquals(best, head.sample(hidden, Sampling.temperature(1), 1)[0], what);
        assertEquals(best, head.sample(hidden, Sampling.temperature(1).withTopP(0.9), 1)[0], what);
    }

    private static void assertTold(int state, Runnable query) {
        String message = assertThrows(InvalidDataException.class, query::run).getMessage();
        assertTrue(message.contains("hidden state " + state + " over 'too large' may leave binary32"), message);
    }

    /** Coordinates are beyond binary32; the logits of the dense group, which they do not enter, are small. */
    @Test
    void overflowInPartOfTheVocabularyIsTold() {
        int columns = 37;
        for (Codec codec : Codec.values()) {
            Layout layout = new Layout(codec, ScaleFormat.F32, false);
            try (Arena arena = Arena.ofShared();
                    Backend tested = backend(2)) {
                CompressedMatrix matrix = new MatrixBuilder(arena, 3, columns)
                        .basis(9, Numbers.SMOOTH)
                        .group(0, 1, layout, Numbers.SMOOTH, 70)
                        .group(0, 9, layout, Numbers.SMOOTH, 900)
                        .dense(Layout.F32, Numbers.SMOOTH, 300, 1e-6f)
                        .build("too large");
                float[] large = new float[columns];
                for (int j = 0; j < columns; j++) {
                    large[j] = Math.copySign(3e38f, matrix.decodedRight(0)[j]);
                }
                for (Pruning pruning : new Pruning[] {Pruning.OFF, Pruning.ALWAYS}) {
                    try (SoftmaxHead head = SoftmaxHead.of(
                            tested, matrix, null, HeadOptions.defaults().withPruning(pruning))) {
                        assertOverflowTold(head, matrix, large, 1, 0);
                        assertOverflowTold(head, matrix, large, 3, 1);
                        assertOverflowTold(head, matrix, large, 9, 8);
                    }
                }
            }
        }
    }

    /** {@code states} states, of which {@code bad} is too large, in either direction. */
    private static void assertOverflowTold(
            SoftmaxHead head, CompressedMatrix matrix, float[] large, int states, int bad) {
        int columns = large.length;
        float[] good = new float[states * columns];
        matrix.decodeRows(11, states, good, 0);
        int[] before = head.greedy(good);
        int dense = 0;
        while (matrix.group(dense) != 2) {
            dense++;
        }
        int[] targets = new int[states];
        Arrays.fill(targets, dense);
        for (float sign : new float[] {1, -1}) {
            float[] hidden = good.clone();
            for (int j = 0; j < columns; j++) {
                hidden[bad * columns + j] = sign * large[j];
            }
            assertTold(bad, () -> head.greedy(hidden));
            assertTold(bad, () -> head.topLogits(hidden, 3));
            assertTold(bad, () -> head.topLogits(hidden, 1100));
            assertTold(bad, () -> head.topK(hidden, 3));
            assertTold(bad, () -> head.topK(hidden, 1100));
            assertTold(bad, () -> head.logProbabilities(hidden, targets));
            assertTold(bad, () -> head.logSumExp(hidden));
            assertTold(bad, () -> head.logits(hidden, new float[states * matrix.rows()]));
            for (Sampling sampling : List.of(
                    Sampling.temperature(1),
                    Sampling.temperature(1).withTopK(5),
                    Sampling.temperature(0.8).withTopP(0.9),
                    Sampling.temperature(1).withMinP(0.1))) {
                assertTold(bad, () -> head.sample(hidden, sampling, 1));
            }
        }
        assertArrayEquals(before, head.greedy(good), "after queries that threw");
    }

    /** Chi-square with 11 degrees of freedom: above 31.3 in one of 1,000 cases; seeds are fixed. */
    @Test
    void frequenciesOfDrawnTokensAreTheSoftmax() {
        try (Arena arena = Arena.ofShared();
                Backend tested = backend(2)) {
            int columns = 5;
            CompressedMatrix matrix = new MatrixBuilder(arena, 9, columns)
                    .basis(3, Numbers.SMOOTH)
                    .group(0, 3, Layout.F32, Numbers.SMOOTH, 9)
                    .zero(3)
                    .build("small");
            float[] state = {0.9f, -0.5f, 1.1f, 0.3f, -0.7f};
            try (SoftmaxHead head = SoftmaxHead.of(tested, matrix, null, HeadOptions.defaults())) {
                for (double temperature : new double[] {1, 0.6}) {
                    double[] probability = softmax(head, state, matrix.rows(), temperature);
                    Sampling sampling = Sampling.temperature(temperature);
                    int draws = 6000;
                    float[] batch = new float[draws * columns];
                    for (int i = 0; i < batch.length; i++) {
                        batch[i] = state[i % columns];
                    }
                    assertDistributed(probability, head.sample(batch, sampling, 12), "one batch");
                    int[] drawn = new int[draws];
                    int[] one = new int[1];
                    for (int seed = 0; seed < draws; seed++) {
                        head.sample(state, sampling, seed, one);
                        drawn[seed] = one[0];
                    }
                    assertDistributed(probability, drawn, "one state, seeds in a row");
                }
            }
        }
    }

    private static double[] softmax(SoftmaxHead head, float[] state, int rows, double temperature) {
        float[] logits = new float[rows];
        head.logits(state, logits);
        double[] probability = new double[rows];
        Arrays.setAll(probability, i -> Math.exp(logits[i] / temperature));
        double sum = Arrays.stream(probability).sum();
        Arrays.setAll(probability, i -> probability[i] / sum);
        return probability;
    }

    private static void assertDistributed(double[] probability, int[] drawn, String what) {
        int[] counts = new int[probability.length];
        for (int token : drawn) {
            counts[token]++;
        }
        double square = 0;
        for (int i = 0; i < counts.length; i++) {
            double expected = probability[i] * drawn.length;
            square += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        assertTrue(square < 31.3, what + ": chi-square " + square + ", counts " + Arrays.toString(counts));
    }
}
