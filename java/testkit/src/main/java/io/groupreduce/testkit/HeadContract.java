package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import io.groupreduce.Answers;
import io.groupreduce.EmbeddingTable;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.MatrixBuilder.Layout;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a {@link SoftmaxHead} on a backend must endure: many threads, many calls, numbers too large. Not public: part of {@link
 * InferenceContract}.
 */
abstract class HeadContract extends Contract {
    private static final long FEW_OBJECTS = 512;

    private static final int CALLS = 25;

    /** Calls until which kernels are compiled and stop boxing vectors. */
    private static final int MOST_ROUNDS = 800;

    /**
     * How many bytes a call may allocate in steady state: a few small objects, such as the task that is given to workers, but no array that grows with states,
     * width or vocabulary. Only a backend made to be read may allocate without a limit.
     */
    protected long mostAllocated(int threads) {
        return FEW_OBJECTS;
    }

    /** Whether queries may leave work out by bounds; what leaves nothing out is asked about that only briefly. */
    protected boolean prunes() {
        return true;
    }

    /** Whether answers take a hundred times as long: the same is asked, but repeated less often. */
    protected boolean slow() {
        return false;
    }

    /**
     * Sixteen threads ask, open and close for a second; {@code -Dgroupreduce.hammer.seconds=60} is the full run.
     */
    @Test
    @Tag("long")
    void manyThreadsCorruptAndLeakNothing(@TempDir Path directory) throws Exception {
        int seconds = Integer.getInteger("groupreduce.hammer.seconds", 1);
        new HeadHammer(this::backend, directory).run(seconds);
    }

    /** What was asked before is asked again with the same objects; requests of many kinds side by side. */
    @Test
    @Tag("long")
    void answersAllocateNothingInSteadyState() {
        assumeTrue(mostAllocated(1) < Long.MAX_VALUE, "this backend is made to be read");
        for (int threads = 1; threads <= 2; threads++) {
            try (InferenceCase c = InferenceCase.steep(51, 1);
                    ComputeBackend tested = backend(threads);
                    SoftmaxHead head = SoftmaxHead.of(tested, c.matrix, c.bias, HeadOptions.defaults());
                    EmbeddingTable table = EmbeddingTable.of(tested, c.matrix)) {
                for (int states : slow() ? new int[] {3} : new int[] {1, 16}) {
                    States hidden = States.of(Arrays.copyOf(c.hidden, states * c.matrix.columns()));
                    Answers answers = Answers.of(states);
                    Map<String, Request[]> batches = new LinkedHashMap<>();
                    batches.put("greedy", requests(states, s -> Request.greedy()));
                    batches.put("mixed", requests(states, HeadContract::requestOf));
                    String where = " of " + states + " at " + threads + " threads";
                    long most = mostAllocated(threads);
                    batches.forEach((name, requests) ->
                            assertAllocates(most, name + where, () -> head.answer(hidden, requests, answers)));
                    int[] tokens = new int[states];
                    float[] target = new float[states * c.matrix.rows()];
                    assertAllocates(FEW_OBJECTS, "logits" + where, () -> head.logits(hidden, target));
                    assertAllocates(FEW_OBJECTS, "rows" + where, () -> table.rows(tokens, target, 0));
                }
            }
        }
    }

    private static Request[] requests(int states, IntFunction<Request> each) {
        return IntStream.range(0, states).mapToObj(each).toArray(Request[]::new);
    }

    /** Requests that take every way through a head but that of all logits. */
    static Request requestOf(int state) {
        Request request =
                switch (state % 4) {
                    case 0 -> Request.sample(Sampling.temperature(1), state);
                    case 1 ->
                        Request.sample(
                                Sampling.temperature(0.8)
                                        .withTopK(50)
                                        .withTopP(0.95)
                                        .withMinP(0.01),
                                state);
                    case 2 -> Request.greedy().allow(TokenSet.allExcept(1, 2, 3));
                    default -> Request.greedy().allow(TokenSet.of(4, 5, 6));
                };
        return request.top(5 * (state % 3))
                .score(3, 4)
                .probabilities(Probabilities.values()[state % 3])
                .bias(7, 0.5)
                .accept(8)
                .repetitionPenalty(1 + state % 2);
    }

    /** Rounds go on until one allocates no more than that, so that slow compilation is not mistaken for a leak. */
    private static void assertAllocates(long most, String name, Runnable query) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int round = 0; round < MOST_ROUNDS && least > most * CALLS; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < CALLS; i++) {
                query.run();
            }
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertTrue(least <= most * CALLS, name + " allocates " + least / (double) CALLS + " bytes a call");
    }

    @Test
    void logitsBeyondBinary32AreToldAndTheHeadStaysUsable() {
        try (Arena arena = Arena.ofShared();
                ComputeBackend tested = backend(2)) {
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
                    assertTold(0, () -> head.greedy(States.of(hidden)));
                    assertTold(0, () -> head.topK(States.of(hidden), 3));
                    assertTold(0, () -> head.logitsOf(States.of(hidden), 17));
                    assertTold(0, () -> head.logProbabilities(States.of(hidden), new int[] {17}));
                    assertTold(0, () -> head.logSumExp(States.of(hidden)));
                    assertTold(0, () -> head.sample(States.of(hidden), Request.sample(Sampling.temperature(1), 1)));
                    assertTold(0, () -> head.logits(States.of(hidden), new float[300]));
                    assertEquals(1, head.greedy(States.of(row)).length);
                }
            }
        }
    }

    /** Far beyond any model, and squares of theirs leave binary32: but logits do not. */
    @Test
    void largeStatesThatAreTakenAreAnsweredByEveryQuery() {
        try (Arena arena = Arena.ofShared();
                ComputeBackend tested = backend(2)) {
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
        head.logits(States.of(hidden), logits);
        int best = 0;
        for (int i = 0; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        String what = head.device() + ", logit " + logits[best];
        assertEquals(best, head.greedy(States.of(hidden))[0], what);
        assertEquals(best, head.topK(States.of(hidden), 3).topToken(0, 0), what);
        assertEquals(0, head.logProbabilities(States.of(hidden), new int[] {best})[0], 1e-5 * logits[best], what);
        assertEquals(logits[best], head.logSumExp(States.of(hidden))[0], 1e-5 * logits[best], what);
        for (double topP : new double[] {1, 0.9}) {
            Request request = Request.sample(Sampling.temperature(1).withTopP(topP), 1);
            assertEquals(best, head.sample(States.of(hidden), request)[0], what);
        }
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
                    ComputeBackend tested = backend(2)) {
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
        int[] before = head.greedy(States.of(good));
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
            assertTold(bad, () -> head.greedy(States.of(hidden)));
            assertTold(bad, () -> head.logitsOf(States.of(hidden), targets));
            assertTold(bad, () -> head.topK(States.of(hidden), 3));
            assertTold(bad, () -> head.topK(States.of(hidden), 1100));
            assertTold(bad, () -> head.logProbabilities(States.of(hidden), targets));
            assertTold(bad, () -> head.logSumExp(States.of(hidden)));
            assertTold(bad, () -> head.logits(States.of(hidden), new float[states * matrix.rows()]));
            for (Sampling sampling : List.of(
                    Sampling.temperature(1),
                    Sampling.temperature(1).withTopK(5),
                    Sampling.temperature(0.8).withTopP(0.9),
                    Sampling.temperature(1).withMinP(0.1))) {
                assertTold(
                        bad,
                        () -> head.sample(States.of(hidden), requests(states, row -> Request.sample(sampling, 1))));
            }
        }
        assertArrayEquals(before, head.greedy(States.of(good)), "after queries that threw");
    }
}
