package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.Sampling;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** Holds the answers of a session against the reference's, and looks whether it writes beyond them. */
final class InferenceChecks {
    static final float UNTOUCHED = -77;

    static final List<Sampling> SAMPLINGS = List.of(
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

    private InferenceChecks() {}

    /** Checks each case and closes it. */
    static void forEach(List<InferenceCase> cases, Consumer<InferenceCase> check) {
        for (InferenceCase c : cases) {
            try (c) {
                check.accept(c);
            }
        }
    }

    static void assertTop(InferenceCase c, InferenceSession session, int states, int k, boolean probable) {
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
    static final class Top {
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

    static void assertScores(InferenceCase c, InferenceSession session, int states) {
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

    static int[] sample(InferenceSession session, InferenceCase c, int states, Sampling sampling, long seed) {
        int[] tokens = new int[states];
        session.sample(c.hidden(states), states, sampling, seed, tokens);
        return tokens;
    }

    /** Into an array, and into a segment at an odd address. */
    static void assertLogits(InferenceCase c, InferenceSession session, int states) {
        try (Arena arena = Arena.ofShared()) {
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

    /** Every row, some of them twice. */
    static void assertRows(InferenceCase c, InferenceSession session) {
        int columns = c.matrix.columns();
        int count = 2 * c.matrix.rows() + 1;
        int[] tokens = new int[count + 1];
        Arrays.setAll(tokens, i -> i % 2 == 0 ? (i * 31) % c.matrix.rows() : c.matrix.rows() - 1 - i / 2);
        tokens[count] = -1;
        float[] expected = new float[(count + 1) * columns + 5];
        float[] actual = new float[expected.length];
        Arrays.fill(actual, UNTOUCHED);
        try (InferenceSession reference = c.reference()) {
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
    }

    static void assertPrunedAlike(
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

    static void assertSame(Top expected, Top actual, String what) {
        assertArrayEquals(expected.tokens, actual.tokens, what);
        assertArrayEquals(expected.logits, actual.logits, what);
    }
}
