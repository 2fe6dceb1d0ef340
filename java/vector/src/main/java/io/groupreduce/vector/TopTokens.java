package io.groupreduce.vector;

import static io.groupreduce.vector.Lanes.NR;

import java.util.Arrays;

/**
 * For each of some hidden states the k tokens of largest logit seen so far, best first; ties go to the lower token. That is a
 * total order, so the lists are the same in whatever order tokens come.
 */
final class TopTokens {
    private final int k;
    private final float[] logits;
    private final int[] tokens;
    /** Per hidden state, the logit a token must reach to get in: the least of a full list. */
    private final float[] thresholds;

    TopTokens(int states, int k) {
        this.k = k;
        logits = new float[states * k];
        tokens = new int[states * k];
        thresholds = new float[states];
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        Arrays.fill(tokens, Integer.MAX_VALUE);
        Arrays.fill(thresholds, k == 0 ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY);
    }

    /**
     * Considers a tile of logits, NR hidden states wide. Most columns are done with by one look at their largest logit.
     *
     * @param state the hidden state of column 0
     * @param used columns that are hidden states; the rest is padding
     * @param z rows x NR logits
     * @param maxima the largest logit of each column
     * @param order where the tile's token numbers are, from {@code first} on
     */
    void add(int state, int used, float[] z, int rows, float[] maxima, int[] order, int first) {
        for (int column = 0; column < used; column++) {
            float threshold = thresholds[state + column];
            if (maxima[column] >= threshold) {
                for (int i = 0; i < rows; i++) {
                    float logit = z[i * NR + column];
                    if (logit >= threshold) {
                        offer(state + column, logit, order[first + i]);
                        threshold = thresholds[state + column];
                    }
                }
            }
        }
    }

    private void offer(int state, float logit, int token) {
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
        thresholds[state] = logits[first + k - 1];
    }

    private boolean better(float logit, int token, int at) {
        return logit > logits[at] || logit == logits[at] && token < tokens[at];
    }

    /** Takes over the lists of other tokens. */
    void merge(TopTokens other) {
        for (int state = 0; state < thresholds.length; state++) {
            for (int at = state * k; at < state * k + k && other.tokens[at] != Integer.MAX_VALUE; at++) {
                offer(state, other.logits[at], other.tokens[at]);
            }
        }
    }

    /** Copies the tokens of the first {@code states} hidden states. */
    void copyTo(int[] target, int firstState, int states) {
        System.arraycopy(tokens, 0, target, firstState * k, states * k);
    }
}
