package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.InferenceSession;

/**
 * The answers of the reference to an {@link InferenceCase}, and how far another backend's may lie from them.
 *
 * <p>A logit may be off by {@code 2^-24 (4 + sqrt(k) + sqrt(D)) sum |L| (|R| |h|)}, the magnitude of what is summed up times what
 * a single-precision sum of that many numbers in random order loses. Log-sum-exps are held to {@link #LOG_SUM_EXP}.
 */
final class InferenceOracle {
    /** The error of a log-sum-exp relative to itself, or absolute below 1. */
    static final double LOG_SUM_EXP = 2e-6;

    private final InferenceCase c;
    private final int rows;
    private final int[] ranked;
    private final float[] rankedLogits;
    private final float[] logits;
    private final double[] logSumExp;
    private final double[] tolerance;
    private final double[] most;

    InferenceOracle(InferenceCase c) {
        this.c = c;
        this.rows = c.matrix.rows();
        int states = c.states();
        ranked = new int[states * rows];
        rankedLogits = new float[states * rows];
        logits = new float[states * rows];
        logSumExp = new double[states];
        tolerance = new double[states * rows];
        most = new double[states];
        try (InferenceSession reference = c.reference()) {
            reference.top(c.hidden, states, rows, ranked, rankedLogits, logSumExp);
        }
        for (int i = 0; i < states * rows; i++) {
            logits[i / rows * rows + ranked[i]] = rankedLogits[i];
        }
        tolerances();
    }

    private void tolerances() {
        CompressedMatrix matrix = c.matrix;
        int columns = matrix.columns();
        float[] left = new float[columns];
        double[][] z = new double[matrix.bases()][];
        for (int s = 0; s < most.length; s++) {
            for (int b = 0; b < z.length; b++) {
                z[b] = magnitudes(matrix.decodedRight(b), s * columns, columns);
            }
            for (int i = 0; i < rows; i++) {
                GroupPlan plan = matrix.groups().get(matrix.group(i));
                double sum = c.bias == null ? 0 : Math.abs(c.bias[i]);
                if (!plan.isZero()) {
                    matrix.left(matrix.group(i)).decodeRow(matrix.slot(i), left, 0);
                }
                for (int k = 0; k < plan.rank(); k++) {
                    sum += Math.abs(left[k])
                            * (plan.isDense() ? Math.abs(c.hidden[s * columns + k]) : z[plan.basis()][k]);
                }
                double allowed = 0x1p-24 * (4 + Math.sqrt(plan.rank()) + Math.sqrt(columns)) * sum;
                tolerance[s * rows + i] = allowed;
                most[s] = Math.max(most[s], allowed);
            }
        }
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

    /** Logits of the first states, in the order of tokens. */
    float logit(int state, int token) {
        return logits[state * rows + token];
    }

    /** The token of this place in the order of the reference. */
    int token(int state, int place) {
        return ranked[state * rows + place];
    }

    /** What a logit may be off by. */
    double tolerance(int state, int token) {
        return tolerance[state * rows + token];
    }

    /**
     * Tokens are those of the reference wherever its logits differ by more than what both may be off by, each once, in falling order of
     * the logits given with them, ties to the lower token; those logits are near the reference's.
     */
    void assertTop(int states, int k, int[] tokens, float[] found, String what) {
        for (int s = 0; s < states; s++) {
            boolean[] seen = new boolean[rows];
            for (int place = 0; place < k; place++) {
                String where = c.at(what + ", state " + s + ", place " + place + " of " + k);
                int token = tokens[s * k + place];
                float logit = found[s * k + place];
                assertTrue(token >= 0 && token < rows, where + ": token " + token);
                assertTrue(!seen[token], where + ": token " + token + " twice");
                seen[token] = true;
                assertEquals(logit(s, token), logit, tolerance(s, token), where + ": logit of token " + token);
                if (token != token(s, place)) {
                    double wanted = rankedLogits[s * rows + place];
                    assertEquals(wanted, logit(s, token), 2 * most[s], where + ": token " + token);
                }
                if (place > 0) {
                    float before = found[s * k + place - 1];
                    boolean inOrder = logit < before || logit == before && token > tokens[s * k + place - 1];
                    assertTrue(inOrder, where + ": " + logit + " of token " + token + " after " + before);
                }
            }
        }
    }

    /** Within {@link #LOG_SUM_EXP} and {@code more} nats. */
    void assertLogSumExp(int states, double[] found, double more, String what) {
        for (int s = 0; s < states; s++) {
            double allowed = LOG_SUM_EXP * Math.max(1, Math.abs(logSumExp[s])) + more;
            assertEquals(logSumExp[s], found[s], allowed, c.at(what + ", log-sum-exp of state " + s));
        }
    }

    /** The logit of one token. */
    void assertLogit(int state, int token, float found, String what) {
        String where = c.at(what + ", logit of token " + token + " for state " + state);
        assertEquals(logit(state, token), found, tolerance(state, token), where);
    }
}
