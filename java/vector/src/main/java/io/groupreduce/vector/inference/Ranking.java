package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * For each of some hidden states the k tokens of largest logit seen so far, best first; ties go to the lower token. That is a total
 * order, so lists come out the same in whatever order tokens come. A tile is looked into only if its largest logit reaches the least of a
 * full list.
 */
final class Ranking {
    private int k;
    private float[] logits = new float[0];
    private int[] tokens = new int[0];

    /** Forgets everything; there is room for {@code states} lists of {@code k} from now on. */
    void start(int states, int k) {
        this.k = k;
        if (logits.length < states * k) {
            logits = new float[states * k];
            tokens = new int[states * k];
        }
        Arrays.fill(logits, 0, states * k, Float.NEGATIVE_INFINITY);
        Arrays.fill(tokens, 0, states * k, Integer.MAX_VALUE);
    }

    /** The logit that a token must reach to enter. */
    float threshold(int state) {
        return logits[state * k + k - 1];
    }

    float logit(int state, int rank) {
        return logits[state * k + rank];
    }

    int token(int state, int rank) {
        return tokens[state * k + rank];
    }

    /**
     * Considers {@code count} logits, a multiple of LANES, of which only the first {@code used} have a token.
     *
     * @param names the tokens, from {@code firstName} on
     */
    void add(int state, float[] values, int from, int count, int used, int[] names, int firstName) {
        FloatVector largest = FloatVector.fromArray(FLOATS, values, from);
        for (int i = from + LANES; i < from + count; i += LANES) {
            largest = largest.max(FloatVector.fromArray(FLOATS, values, i));
        }
        float threshold = threshold(state);
        if (largest.compare(VectorOperators.GE, threshold).anyTrue()) {
            for (int i = 0; i < used; i++) {
                if (values[from + i] >= threshold) {
                    offer(state, values[from + i], names[firstName + i]);
                    threshold = threshold(state);
                }
            }
        }
    }

    /** Considers one token. */
    void offer(int state, float logit, int token) {
        int first = state * k;
        int at = first + k - 1;
        if (!better(logit, token, at)) {
            return;
        }
        while (at > first && better(logit, token, at - 1)) {
            logits[at] = logits[at - 1];
            tokens[at] = tokens[at - 1];
            at--;
        }
        logits[at] = logit;
        tokens[at] = token;
    }

    private boolean better(float logit, int token, int at) {
        return logit > logits[at] || logit == logits[at] && token < tokens[at];
    }

    /** Takes over the lists of other tokens. */
    void merge(Ranking other, int states) {
        for (int state = 0; state < states; state++) {
            for (int at = state * k; at < state * k + k && other.tokens[at] != Integer.MAX_VALUE; at++) {
                offer(state, other.logits[at], other.tokens[at]);
            }
        }
    }

    /** Copies the lists of the first {@code states} states. */
    void copyTo(int states, int[] targetTokens, int tokenOffset, float[] targetLogits, int logitOffset) {
        System.arraycopy(tokens, 0, targetTokens, tokenOffset, states * k);
        System.arraycopy(logits, 0, targetLogits, logitOffset, states * k);
    }
}
