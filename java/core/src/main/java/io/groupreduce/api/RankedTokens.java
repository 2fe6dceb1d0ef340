package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Matrix;

/**
 * The k likeliest tokens of each of some hidden states, best first, ties to the lower token. The arrays are states x k row-major
 * and belong to this object, which may be given to a head again and is then overwritten.
 */
public final class RankedTokens {
    private final int states;
    private final int k;
    private final int[] tokens;
    private final float[] logits;
    private final float[] logProbabilities;

    private RankedTokens(int states, int k, boolean probable) {
        if (states < 1) {
            throw new InvalidOptionException("The number of hidden states is " + states + "; give at least 1.");
        }
        if (k < 1) {
            throw new InvalidOptionException("The number of likeliest tokens k is " + k + "; give at least 1.");
        }
        if ((long) states * k > Matrix.LONGEST_ARRAY) {
            throw new InvalidOptionException("The " + k + " likeliest tokens of " + states
                    + " hidden states do not fit an array; ask for fewer, or for all logits.");
        }
        this.states = states;
        this.k = k;
        this.tokens = new int[states * k];
        this.logits = new float[states * k];
        this.logProbabilities = probable ? new float[states * k] : null;
    }

    /**
     * Room for tokens, logits and log-probabilities.
     *
     * @throws InvalidOptionException if a number is below 1, or their product is too large for an array
     */
    public static RankedTokens of(int states, int k) {
        return new RankedTokens(states, k, true);
    }

    /**
     * Room for tokens and logits, which take less work than log-probabilities.
     *
     * @throws InvalidOptionException if a number is below 1, or their product is too large for an array
     */
    public static RankedTokens ofLogits(int states, int k) {
        return new RankedTokens(states, k, false);
    }

    /** The number of hidden states. */
    public int states() {
        return states;
    }

    /** Tokens of each hidden state. */
    public int k() {
        return k;
    }

    /** The token of this place, 0 the likeliest. */
    public int token(int state, int place) {
        return tokens[index(state, place)];
    }

    /** The logit of the token of this place. */
    public float logit(int state, int place) {
        return logits[index(state, place)];
    }

    /** The natural logarithm of the probability of the token of this place; NaN where there are only logits. */
    public float logProbability(int state, int place) {
        int index = index(state, place);
        return logProbabilities == null ? Float.NaN : logProbabilities[index];
    }

    private int index(int state, int place) {
        if (place < 0 || place >= k) {
            throw new IndexOutOfBoundsException("place " + place + " of " + k);
        }
        return state * k + place;
    }

    /** All tokens, states x k. */
    public int[] tokens() {
        return tokens;
    }

    /** All logits, states x k. */
    public float[] logits() {
        return logits;
    }

    /** All log-probabilities, states x k; {@code null} where there are only logits. */
    public float[] logProbabilities() {
        return logProbabilities;
    }
}
