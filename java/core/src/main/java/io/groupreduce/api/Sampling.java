package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.select.GumbelNoise;

/**
 * How tokens are drawn. The logits are divided by the temperature; of the tokens the {@code topK} of largest logit stay, of those the
 * fewest of largest probability that together reach {@code topP} of their sum, and of those the ones at least {@code minP} times as
 * likely as the likeliest. Ties go to the lower token. From what is left a token is drawn by the Gumbel-max rule, see {@link
 * GumbelNoise}.
 *
 * @param temperature above 0; 1 leaves the distribution as it is
 * @param topK how many tokens stay, at least 1; 0 for all
 * @param topP above 0 and at most 1; 1 for all
 * @param minP 0 to 1; 0 for all
 */
public record Sampling(double temperature, int topK, double topP, double minP) {
    /**
     * Checks the numbers.
     *
     * @throws InvalidOptionException if one is out of its range
     */
    public Sampling {
        if (!(temperature > 0) || Double.isInfinite(temperature)) {
            throw new InvalidOptionException(
                    "The temperature is " + temperature + "; give a number above 0, or ask for the greedy token.");
        }
        if (topK < 0) {
            throw new InvalidOptionException("Top-k is " + topK + "; give at least 1, or 0 to keep all tokens.");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new InvalidOptionException("Top-p is " + topP + "; give a number above 0 and at most 1.");
        }
        if (!(minP >= 0 && minP <= 1)) {
            throw new InvalidOptionException("Min-p is " + minP + "; give a number from 0 to 1.");
        }
    }

    /** All tokens at their own probability, at this temperature. */
    public static Sampling temperature(double temperature) {
        return new Sampling(temperature, 0, 1, 0);
    }

    /** The same with only the k likeliest tokens; 0 for all. */
    public Sampling withTopK(int k) {
        return new Sampling(temperature, k, topP, minP);
    }

    /** The same with only the likeliest tokens that reach this share together; 1 for all. */
    public Sampling withTopP(double p) {
        return new Sampling(temperature, topK, p, minP);
    }

    /** The same with only tokens that are this share as likely as the likeliest; 0 for all. */
    public Sampling withMinP(double p) {
        return new Sampling(temperature, topK, topP, p);
    }

    /** Whether every token may be drawn. */
    public boolean keepsAll() {
        return topK == 0 && topP == 1 && minP == 0;
    }
}
