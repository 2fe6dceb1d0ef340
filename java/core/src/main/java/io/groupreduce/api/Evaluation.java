package io.groupreduce.api;

/**
 * How the softmax of a compressed matrix compares with the dense one over the same hidden states. The intervals allow for neighbouring
 * positions being alike; they take hidden states to be in the order of their text.
 *
 * @param tokens T, the number of hidden states
 * @param denseLoss mean cross-entropy of the dense softmax, in nats; unknown without targets
 * @param compressedLoss likewise of the compressed one
 * @param lossDifference mean over hidden states of the compressed one's cross-entropy less the dense one's, whose interval is much
 *     narrower than either's; unknown without targets
 * @param kl mean over hidden states of KL(dense || compressed), in nats
 * @param top1 share of hidden states whose most likely token is the same
 * @param top10 mean share of the dense ten most likely tokens that are among the compressed ten; of all N where N is less than ten
 */
public record Evaluation(
        int tokens,
        Estimate denseLoss,
        Estimate compressedLoss,
        Estimate lossDifference,
        Estimate kl,
        Estimate top1,
        Estimate top10) {
    /** Whether the hidden states came with targets, so that there is a perplexity. */
    public boolean hasPerplexity() {
        return !Double.isNaN(denseLoss.mean());
    }

    /** exp of the mean cross-entropy of the dense softmax; NaN without targets. */
    public double densePerplexity() {
        return Math.exp(denseLoss.mean());
    }

    /** exp of the mean cross-entropy of the compressed softmax; NaN without targets. */
    public double compressedPerplexity() {
        return Math.exp(compressedLoss.mean());
    }

    /** How much the perplexity rose: 0.01 is one percent; unknown without targets. */
    public Estimate perplexityIncrease() {
        return lossDifference.map(Math::expm1);
    }

    /** How much the mean cross-entropy, the logarithm of the perplexity, rose: 0.01 is one percent; NaN without targets. */
    public double lossIncrease() {
        return lossDifference.mean() / denseLoss.mean();
    }
}
