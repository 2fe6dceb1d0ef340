package io.groupreduce.internal.select;

import java.util.Arrays;

/**
 * For each of some hidden states the k tokens of largest logit, best first; ties go to the lower token. That is a total order, so
 * lists come out the same in whatever order tokens are offered. For one thread at a time.
 */
public final class Ranking {
    private int k;
    private float[] logits = new float[0];
    private int[] tokens = new int[0];

    /** Room for {@code states} lists of {@code length} tokens, which {@link #tokens} and {@link #logits} are to be filled with. */
    public void reserve(int states, int length) {
        k = length;
        if (logits.length < states * k) {
            logits = new float[states * k];
            tokens = new int[states * k];
        }
    }

    /** Forgets everything; there is room for {@code states} lists of {@code length}, at least 1, to be offered tokens. */
    public void start(int states, int length) {
        reserve(states, length);
        Arrays.fill(logits, 0, states * k, Float.NEGATIVE_INFINITY);
        Arrays.fill(tokens, 0, states * k, Integer.MAX_VALUE);
    }

    /** Places of a list. */
    public int k() {
        return k;
    }

    /** The logit that a token must reach to enter. */
    public float threshold(int state) {
        return logits[state * k + k - 1];
    }

    public float logit(int state, int place) {
        return logits[state * k + place];
    }

    public int token(int state, int place) {
        return tokens[state * k + place];
    }

    /** All logits [states x k]; may be longer. */
    public float[] logits() {
        return logits;
    }

    /** All tokens [states x k]; may be longer. */
    public int[] tokens() {
        return tokens;
    }

    /** Considers one token. */
    public void offer(int state, float logit, int token) {
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
    public void merge(Ranking other, int states) {
        for (int state = 0; state < states; state++) {
            for (int at = state * k; at < state * k + k && other.tokens[at] != Integer.MAX_VALUE; at++) {
                offer(state, other.logits[at], other.tokens[at]);
            }
        }
    }

    /**
     * Copies the list of a state.
     *
     * @param targetTokens [at + k]; may be longer
     * @param targetLogits [at + k]; may be longer
     * @throws IndexOutOfBoundsException if one of them is shorter
     */
    public void copyTo(int state, int[] targetTokens, float[] targetLogits, int at) {
        System.arraycopy(tokens, state * k, targetTokens, at, k);
        System.arraycopy(logits, state * k, targetLogits, at, k);
    }
}
