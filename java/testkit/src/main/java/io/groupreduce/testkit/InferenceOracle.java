package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The logits that the reference has for an {@link InferenceCase}, what follows from them for a question, and how far another backend may be from that.
 *
 * <p>A logit may be off by {@code 2^-24 (4 + sqrt(k) + sqrt(D)) sum |L| (|R| |h|)}, the magnitude of what is summed up times what
 * a single-precision sum of that many numbers in random order loses; a cap c adds what its hyperbolic tangent loses, {@code 2^-24 8 c}. Log-sum-exps are
 * held to {@link #LOG_SUM_EXP}, and where few tokens count, to what those may be off by. Answers of two batches of different size may so differ by twice
 * that, and a list, a choice or a draw may name another token only where it ties with the reference's within what both may be off by.
 */
final class InferenceOracle {
    /** The error of a log-sum-exp relative to itself, or to 1, or to a logit of 1 divided by the temperature. */
    static final double LOG_SUM_EXP = 2e-6;

    /** The error of the noise: a logarithm of single precision at the largest, 22.9. */
    private static final double NOISE = 4e-6;

    private final InferenceCase c;
    private final int rows;
    private final float[][] logits;
    private final double[][] tolerances;

    InferenceOracle(InferenceCase c) {
        this.c = c;
        this.rows = c.matrix.rows();
        logits = new float[c.states()][];
        tolerances = new double[c.states()][];
    }

    /** Logits of a state, in the order of tokens. */
    float[] logits(int state) {
        if (logits[state] == null) {
            logits[state] = new float[rows];
            try (InferenceSession reference = c.reference()) {
                reference.logits(c.hidden(new int[] {state}), 1, MemorySegment.ofArray(logits[state]));
            }
        }
        return logits[state];
    }

    /** What the logits of a state may be off by. */
    double[] tolerances(int state) {
        if (tolerances[state] == null) {
            tolerances[state] = computeTolerances(state);
        }
        return tolerances[state];
    }

    private double[] computeTolerances(int state) {
        CompressedMatrix matrix = c.matrix;
        int columns = matrix.columns();
        double[][] z = new double[matrix.bases()][];
        for (int b = 0; b < z.length; b++) {
            z[b] = magnitudes(matrix.decodedRight(b), state * columns, columns);
        }
        double[] allowed = new double[rows];
        float[] left = new float[columns];
        for (int i = 0; i < rows; i++) {
            GroupPlan plan = matrix.groups().get(matrix.group(i));
            double sum = c.bias == null ? 0 : Math.abs(c.bias[i]);
            if (!plan.isZero()) {
                matrix.left(matrix.group(i)).decodeRow(matrix.slot(i), left, 0);
            }
            for (int k = 0; k < plan.rank(); k++) {
                sum += Math.abs(left[k])
                        * (plan.isDense() ? Math.abs(c.hidden[state * columns + k]) : z[plan.basis()][k]);
            }
            allowed[i] = 0x1p-24 * ((4 + Math.sqrt(plan.rank()) + Math.sqrt(columns)) * sum + 8 * c.cap);
        }
        return allowed;
    }

    /** {@code |R| |h|}. */
    private double[] magnitudes(float[] right, int from, int columns) {
        double[] z = new double[right.length / columns];
        for (int k = 0; k < z.length; k++) {
            for (int j = 0; j < columns; j++) {
                z[k] += Math.abs((double) right[k * columns + j] * c.hidden[from + j]);
            }
        }
        return z;
    }

    /** Holds every part of an answer against the logits of this state of the case. */
    void assertAnswer(int state, PlainQuestion question, String what) {
        String where = c.at(what + ", " + question + ", hidden state " + state);
        question.assertAnsweredOnce(true, where);
        int[] open = open(question);
        double most = 0;
        for (int token : open) {
            most = Math.max(most, tolerances(state)[token]);
        }
        if (question.listed() > 0) {
            assertList(state, question, open, most, where);
        }
        if (question.sumTemperature() > 0) {
            assertSum(state, question, open, most, where);
        }
        if (question.drawTemperature() > 0) {
            assertDraw(state, question, open, where);
        }
    }

    private int[] open(PlainQuestion question) {
        int[] open = new int[rows];
        int count = 0;
        for (int token = 0; token < rows; token++) {
            if (question.isOpen(token)) {
                open[count++] = token;
            }
        }
        return Arrays.copyOf(open, count);
    }

    /**
     * Open tokens, each once, in falling order of the logits given with them, ties to the lower token. Those logits are near the reference's, and the
     * reference's are those of its own list at each place, within what both may be off by.
     */
    private void assertList(int state, PlainQuestion question, int[] open, double most, String what) {
        float[] sorted = new float[open.length];
        for (int i = 0; i < open.length; i++) {
            sorted[i] = logits(state)[open[i]];
        }
        Arrays.sort(sorted);
        boolean[] seen = new boolean[rows];
        for (int place = 0; place < question.listed(); place++) {
            int token = question.tokens[place];
            float logit = question.logits[place];
            String where = "place " + place + " holds token " + token + " with " + logit + "; " + what;
            assertTrue(token >= 0 && token < rows && question.isOpen(token), where);
            assertFalse(seen[token], where);
            seen[token] = true;
            assertEquals(logits(state)[token], logit, tolerances(state)[token], where);
            assertEquals(sorted[open.length - 1 - place], logits(state)[token], 2 * most, where);
            if (place > 0) {
                float before = question.logits[place - 1];
                assertTrue(logit < before || logit == before && token > question.tokens[place - 1], where);
            }
        }
    }

    private void assertSum(int state, PlainQuestion question, int[] open, double most, String what) {
        double inverse = Math.clamp(1 / question.sumTemperature(), 1e-30, 1e30);
        double[] y =
                Arrays.stream(open).mapToDouble(token -> logits(state)[token]).toArray();
        double[] off = Arrays.stream(open)
                .mapToDouble(token -> tolerances(state)[token])
                .toArray();
        double largest = Arrays.stream(y).max().getAsDouble();
        double logSum = Math.log(
                Arrays.stream(y).map(v -> Math.exp((v - largest) * inverse)).sum());
        String where = "sum " + question.sum + " at " + question.largest + "; " + what;
        assertEquals(largest, question.largest, most, where);
        assertTrue(question.sum <= open.length * (1 + LOG_SUM_EXP), where);
        double found = Math.log(question.sum) + (question.largest - largest) * inverse;
        double allowed = logSumAllowed(largest, logSum, inverse, y, off);
        assertEquals(logSum, found, allowed + question.tolerance(), where);
    }

    /** What a log-sum-exp at a temperature may be off by: independent errors of logits enter as their probabilities. */
    static double logSumAllowed(double largest, double logSum, double inverse, double[] y, double[] off) {
        double scale = Math.max(Math.max(1, Math.abs(largest)) * inverse, Math.max(1, logSum));
        double square = 0;
        for (int i = 0; i < y.length; i++) {
            square += Math.pow(Math.exp((y[i] - largest) * inverse - logSum) * off[i], 2);
        }
        return LOG_SUM_EXP * scale + Math.sqrt(square) * inverse;
    }

    /** The token of the reference's draw, or one that ties with it within what both may be off by. */
    private void assertDraw(int state, PlainQuestion question, int[] open, String what) {
        int best = draw(state, question, open);
        int token = question.drawn;
        String where = "draw " + token + " instead of " + best + "; " + what;
        assertTrue(token >= 0 && token < rows && question.isOpen(token), where);
        assertEquals(logits(state)[token], question.drawnLogit, tolerances(state)[token], where);
        assertTied(state, question, best, token, where);
    }

    /** Of two tokens either may be drawn: {@code logit + temperature x noise} of both is equal within what their logits and noise may be off by. */
    void assertTied(int state, PlainQuestion question, int token, int other, String where) {
        if (token != other) {
            double t = question.drawTemperature();
            double ahead = (double) logits(state)[token]
                    - logits(state)[other]
                    + t * (noise(question, token) - noise(question, other));
            assertEquals(0, ahead, tolerances(state)[token] + tolerances(state)[other] + t * NOISE, where);
        }
    }

    /** Compared are differences: at a temperature near 0 a logit divided by it has no meaning. */
    private int draw(int state, PlainQuestion question, int[] open) {
        int best = open[0];
        for (int token : open) {
            double ahead = ((double) logits(state)[token] - logits(state)[best]) / question.drawTemperature()
                    + (noise(question, token) - noise(question, best));
            best = ahead > 0 ? token : best;
        }
        return best;
    }

    private static double noise(PlainQuestion question, int token) {
        return GumbelNoise.of(GumbelNoise.hash(question.key(), token));
    }

    /** The logit of one token. */
    void assertLogit(int state, int token, float found, String what) {
        String where = c.at(what + ", logit of token " + token + " for hidden state " + state);
        assertEquals(logits(state)[token], found, tolerances(state)[token], where);
    }
}
