package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.InferenceSession;
import io.groupreduce.softmax.Pruning;
import io.groupreduce.softmax.Sampling;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/**
 * What every backend must answer about a compressed softmax, held against the reference: every layout of a file at ragged sizes,
 * batches around every block size, exact ties, extreme logits, every kind of pruning. With {@link HeadContract}, what a head on it must
 * endure.
 */
public abstract class InferenceContract extends HeadContract {
    private static final int[] BATCHES = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 33, 64, InferenceCase.STATES};
    private static final float UNTOUCHED = -77;

    private static final List<Sampling> SAMPLINGS = List.of(
            Sampling.temperature(1),
            Sampling.temperature(0.7),
            Sampling.temperature(2.5),
            Sampling.temperature(1e-3),
            Sampling.temperature(1e-320),
            Sampling.temperature(1).withTopK(1),
            Sampling.temperature(1.3).withTopK(40),
            Sampling.temperature(1).withTopP(0.9),
            Sampling.temperature(1).withTopP(1e-9),
            Sampling.temperature(1).withMinP(0.05),
            Sampling.temperature(1).withMinP(1),
            Sampling.temperature(0.8).withTopK(50).withTopP(0.95).withMinP(0.01),
            Sampling.temperature(3).withTopK(7).withTopP(0.5));

    private static void forEach(List<InferenceCase> cases, Consumer<InferenceCase> check) {
        for (InferenceCase c : cases) {
            try (c) {
                check.accept(c);
            }
        }
    }

    @Test
    void likeliestTokensMatchTheReference() {
        forEach(InferenceCase.all(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested)) {
                for (int states : BATCHES) {
                    assertTop(c, session, states, 10, true);
                    assertTop(c, session, states, 1, false);
                }
                for (int states : new int[] {1, 3, 17}) {
                    assertTop(c, session, states, 0, true);
                    assertTop(c, session, states, 1, true);
                    assertTop(c, session, states, 2, false);
                    assertTop(c, session, states, c.matrix.rows(), true);
                }
            }
        });
    }

    private static void assertTop(InferenceCase c, InferenceSession session, int states, int k, boolean probable) {
        int ranks = Math.min(k, c.matrix.rows());
        Top top = new Top(session, c, states, ranks, probable);
        String what = "top " + ranks + " of " + states;
        c.oracle().assertTop(states, ranks, top.tokens, top.logits, what);
        if (probable) {
            c.oracle().assertLogSumExp(states, top.logSumExp, 0, what);
            assertEquals(UNTOUCHED, top.logSumExp[states], c.at(what + " writes beyond its end"));
        }
        assertEquals(UNTOUCHED, top.tokens[states * ranks], c.at(what + " writes beyond its end"));
        assertEquals(UNTOUCHED, top.logits[states * ranks], c.at(what + " writes beyond its end"));
    }

    /** An answer in arrays with one more place, to see what is written there. */
    private static final class Top {
        final int[] tokens;
        final float[] logits;
        final double[] logSumExp;

        Top(InferenceSession session, InferenceCase c, int states, int k, boolean probable) {
            tokens = new int[states * k + 1];
            logits = new float[states * k + 1];
            logSumExp = probable ? new double[states + 1] : null;
            tokens[states * k] = (int) UNTOUCHED;
            logits[states * k] = UNTOUCHED;
            if (probable) {
                logSumExp[states] = UNTOUCHED;
            }
            session.top(c.hidden(states), states, k, tokens, logits, logSumExp);
        }
    }

    @Test
    void tiesGoToTheLowerToken() {
        forEach(
                List.of(
                        InferenceCase.random(21, MatrixBuilder.Numbers.EXACT),
                        InferenceCase.random(22, MatrixBuilder.Numbers.EXACT),
                        InferenceCase.everyLayout(23, true, MatrixBuilder.Numbers.EXACT)),
                c -> {
                    int rows = c.matrix.rows();
                    int ties = 0;
                    try (Backend tested = backend(2);
                            InferenceSession session = c.load(tested);
                            InferenceSession reference = c.reference()) {
                        for (int k : new int[] {1, 2, 10, 100, rows}) {
                            Top expected = new Top(reference, c, 9, k, false);
                            Top actual = new Top(session, c, 9, k, false);
                            assertArrayEquals(expected.logits, actual.logits, c.at("logits of the top " + k));
                            assertArrayEquals(expected.tokens, actual.tokens, c.at("tokens of the top " + k));
                            for (int i = 1; i < 9 * k; i++) {
                                ties += k == 10 && expected.logits[i] == expected.logits[i - 1] ? 1 : 0;
                            }
                        }
                    }
                    assertTrue(ties > 0, c.at("a case without ties"));
                });
    }

    @Test
    void scoresMatchTheReference() {
        forEach(InferenceCase.all(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested)) {
                for (int states : BATCHES) {
                    int[] targets = new int[states];
                    Arrays.setAll(targets, s -> (s * 7919 + states) % c.matrix.rows());
                    float[] logits = new float[states];
                    double[] logSumExp = new double[states];
                    session.score(c.hidden(states), states, targets, logits, logSumExp);
                    float[] alone = new float[states];
                    session.score(c.hidden(states), states, targets, alone, null);
                    for (int s = 0; s < states; s++) {
                        c.oracle().assertLogit(s, targets[s], logits[s], "score in " + states);
                        c.oracle().assertLogit(s, targets[s], alone[s], "score alone in " + states);
                    }
                    c.oracle().assertLogSumExp(states, logSumExp, 0, "score in " + states);
                }
            }
        });
    }

    @Test
    void samplesAreTheReferencesToken() {
        forEach(InferenceCase.all(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested);
                    InferenceSession reference = c.reference()) {
                for (int n = 0; n < SAMPLINGS.size(); n++) {
                    Sampling sampling = SAMPLINGS.get(n);
                    if (sampling.topK() < c.matrix.rows()) {
                        int states = BATCHES[n % BATCHES.length];
                        for (long seed = 1; seed <= (states < 9 ? 12 : 2); seed++) {
                            int[] expected = sample(reference, c, states, sampling, seed);
                            int[] actual = sample(session, c, states, sampling, seed);
                            assertArrayEquals(expected, actual, c.at(sampling + ", seed " + seed + " in " + states));
                        }
                    }
                }
            }
        });
    }

    private static int[] sample(InferenceSession session, InferenceCase c, int states, Sampling sampling, long seed) {
        int[] tokens = new int[states];
        session.sample(c.hidden(states), states, sampling, seed, tokens);
        return tokens;
    }

    @Test
    void allLogitsMatchTheReference() {
        forEach(InferenceCase.all(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested);
                    Arena arena = Arena.ofShared()) {
                for (int states : new int[] {1, 2, 5, 17, InferenceCase.STATES}) {
                    long bytes = 4L * states * c.matrix.rows();
                    MemorySegment odd = arena.allocate(bytes + 1, 4).asSlice(1, bytes);
                    session.logits(c.hidden(states), states, odd);
                    float[] array = new float[states * c.matrix.rows() + 1];
                    array[array.length - 1] = UNTOUCHED;
                    session.logits(c.hidden(states), states, MemorySegment.ofArray(array));
                    assertEquals(UNTOUCHED, array[array.length - 1], c.at("logits beyond the end"));
                    for (int i = 0; i < array.length - 1; i++) {
                        int state = i / c.matrix.rows();
                        int token = i % c.matrix.rows();
                        float written = odd.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                        c.oracle().assertLogit(state, token, written, "all logits of " + states);
                        c.oracle().assertLogit(state, token, array[i], "all logits of " + states + " in an array");
                    }
                }
            }
        });
    }

    @Test
    void rowsMatchTheReference() {
        forEach(InferenceCase.all(), c -> {
            int columns = c.matrix.columns();
            int count = 2 * c.matrix.rows() + 1;
            int[] tokens = new int[count + 1];
            Arrays.setAll(tokens, i -> i % 2 == 0 ? (i * 31) % c.matrix.rows() : c.matrix.rows() - 1 - i / 2);
            tokens[count] = -1;
            float[] expected = new float[(count + 1) * columns + 5];
            float[] actual = new float[expected.length];
            Arrays.fill(actual, UNTOUCHED);
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested);
                    InferenceSession reference = c.reference()) {
                reference.rows(tokens, count, expected, 5);
                session.rows(tokens, count, actual, 5);
                float[] largest = new float[columns];
                for (int n = 0; n < count; n++) {
                    c.magnitudes(tokens[n], largest);
                    for (int j = 0; j < columns; j++) {
                        int at = 5 + n * columns + j;
                        double allowed = 0x1p-24 * (4 + Math.sqrt(columns)) * largest[j];
                        assertEquals(
                                expected[at], actual[at], allowed, c.at("row of token " + tokens[n] + ", column " + j));
                    }
                }
            }
            assertEquals(UNTOUCHED, actual[4], c.at("rows before the offset"));
            assertEquals(UNTOUCHED, actual[5 + count * columns], c.at("rows beyond the end"));
        });
    }

    @Test
    void theNumberOfThreadsChangesNoBitOfAnAnswer() {
        forEach(List.of(InferenceCase.random(31, MatrixBuilder.Numbers.SMOOTH), InferenceCase.steep(32, 1)), c -> {
            for (int states : new int[] {1, 3, 16, InferenceCase.STATES}) {
                Top first = null;
                float[] firstLogits = null;
                int[] firstDrawn = null;
                for (int threads : new int[] {1, 2, 3}) {
                    try (Backend tested = backend(threads);
                            InferenceSession session = c.load(tested)) {
                        Top top = new Top(session, c, states, 10, true);
                        float[] logits = new float[states * c.matrix.rows()];
                        session.logits(c.hidden(states), states, MemorySegment.ofArray(logits));
                        int[] drawn = sample(session, c, states, Sampling.temperature(1), 5);
                        if (first == null) {
                            first = top;
                            firstLogits = logits;
                            firstDrawn = drawn;
                        }
                        String what = c.at(states + " states at " + threads + " threads");
                        assertArrayEquals(first.tokens, top.tokens, what);
                        assertArrayEquals(first.logits, top.logits, what);
                        assertArrayEquals(first.logSumExp, top.logSumExp, what);
                        assertArrayEquals(firstLogits, logits, what);
                        assertArrayEquals(firstDrawn, drawn, what);
                    }
                }
            }
        });
    }

    @Test
    void pruningChangesNoAnswer() {
        forEach(InferenceCase.forPruning(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession plain = c.load(tested);
                    InferenceSession always = tested.load(c.problem(Pruning.ALWAYS, 0));
                    InferenceSession auto = tested.load(c.problem(Pruning.AUTO, 0))) {
                List<InferenceSession> pruned = List.of(always, auto);
                for (int states : new int[] {1, 2, 4, 5, 16, InferenceCase.STATES}) {
                    for (int k : new int[] {1, 2, 10, 300}) {
                        assertPrunedAlike(c, plain, pruned, states, Math.min(k, c.matrix.rows()));
                    }
                    for (int n = 0; n < SAMPLINGS.size(); n += states < 5 ? 1 : 5) {
                        Sampling sampling = SAMPLINGS.get(n);
                        int[] expected = sample(plain, c, states, sampling, states);
                        for (InferenceSession session : pruned) {
                            int[] actual = sample(session, c, states, sampling, states);
                            assertArrayEquals(expected, actual, c.at("pruned, " + states + ", " + sampling));
                        }
                    }
                }
            }
        });
    }

    private static void assertPrunedAlike(
            InferenceCase c, InferenceSession plain, List<InferenceSession> pruned, int states, int k) {
        Top expected = new Top(plain, c, states, k, false);
        Top probable = new Top(plain, c, states, k, true);
        for (InferenceSession session : pruned) {
            String what = "pruned, top " + k + " of " + states;
            assertSame(expected, new Top(session, c, states, k, false), c.at(what));
            Top top = new Top(session, c, states, k, true);
            assertSame(probable, top, c.at(what + " with log-sum-exp"));
            c.oracle().assertLogSumExp(states, top.logSumExp, 0, what);
        }
    }

    private static void assertSame(Top expected, Top actual, String what) {
        assertArrayEquals(expected.tokens, actual.tokens, what);
        assertArrayEquals(expected.logits, actual.logits, what);
    }

    @Test
    void aToleranceBoundsTheErrorOfTheLogSumExp() {
        forEach(InferenceCase.forPruning(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession plain = c.load(tested)) {
                for (double tolerance : new double[] {1e-6, 1e-3, 0.1}) {
                    for (Pruning pruning : new Pruning[] {Pruning.ALWAYS, Pruning.AUTO}) {
                        try (InferenceSession pruned = tested.load(c.problem(pruning, tolerance))) {
                            for (int states : new int[] {1, 4, 17, InferenceCase.STATES}) {
                                String what = pruning + " at " + tolerance + ", " + states;
                                int k = Math.min(10, c.matrix.rows());
                                Top top = new Top(pruned, c, states, k, true);
                                c.oracle().assertLogSumExp(states, top.logSumExp, tolerance, what);
                                assertSame(new Top(plain, c, states, k, true), top, c.at(what));
                                Top sums = new Top(pruned, c, states, 0, true);
                                c.oracle().assertLogSumExp(states, sums.logSumExp, tolerance, what);
                            }
                        }
                    }
                }
            }
        });
    }

    @Test
    void extremeLogitsGiveFiniteAnswers() {
        for (boolean steep : new boolean[] {false, true}) {
            try (InferenceCase c =
                    steep ? InferenceCase.steep(41, 1) : InferenceCase.random(42, MatrixBuilder.Numbers.SMOOTH)) {
                for (InferenceCase extreme : c.extremes()) {
                    for (Pruning pruning : Pruning.values()) {
                        try (Backend tested = backend(2);
                                InferenceSession session = tested.load(extreme.problem(pruning, 0))) {
                            for (int states : new int[] {1, 5, 17}) {
                                assertTop(extreme, session, states, 10, true);
                                assertTop(extreme, session, states, 1, false);
                                assertTop(extreme, session, states, 300, false);
                                assertArrayEquals(
                                        sample(extreme.reference(), extreme, states, SAMPLINGS.get(0), 3),
                                        sample(session, extreme, states, SAMPLINGS.get(0), 3),
                                        extreme.at("sampled, " + pruning));
                            }
                        }
                    }
                }
            }
        }
    }

    @Test
    void aSessionMayBeClosedTwice() {
        try (InferenceCase c = InferenceCase.single();
                Backend tested = backend(2)) {
            InferenceSession session = c.load(tested);
            session.close();
            session.close();
        }
    }
}
