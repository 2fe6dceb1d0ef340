package io.groupreduce.api;

/**
 * How the softmax of a compressed matrix compares with the dense one over the same hidden states.
 *
 * @param tokens T, the number of hidden states
 * @param densePerplexity exp of the mean cross-entropy of the dense softmax; NaN without targets
 * @param compressedPerplexity likewise of the compressed one
 * @param meanKl mean over hidden states of KL(dense || compressed), in nats
 * @param top1Agreement share of hidden states whose most likely token is the same
 * @param top10Agreement mean share of the dense ten most likely tokens that are among the compressed ten; of all N where N
 *     is less than ten
 */
public record Evaluation(
        int tokens,
        double densePerplexity,
        double compressedPerplexity,
        double meanKl,
        double top1Agreement,
        double top10Agreement) {
    /** Whether the hidden states came with targets, so that there is a perplexity. */
    public boolean hasPerplexity() {
        return !Double.isNaN(densePerplexity);
    }

    /** How much the perplexity rose: 0.01 is one percent; NaN without targets. */
    public double perplexityIncrease() {
        return compressedPerplexity / densePerplexity - 1;
    }

    /** How much the mean cross-entropy, the logarithm of the perplexity, rose: 0.01 is one percent; NaN without targets. */
    public double lossIncrease() {
        return Math.log(compressedPerplexity) / Math.log(densePerplexity) - 1;
    }
}
