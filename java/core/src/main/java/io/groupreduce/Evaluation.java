package io.groupreduce;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.SoftmaxComparison;
import io.groupreduce.backend.TokenScores;
import io.groupreduce.format.FiniteCheck;

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
    private static final int TOP = 10;

    /** Whether the hidden states came with targets, so that there is a perplexity. */
    public boolean hasPerplexity() {
        return !Double.isNaN(densePerplexity);
    }

    /** How much the perplexity rose: 0.01 is one percent; NaN without targets. */
    public double perplexityIncrease() {
        return compressedPerplexity / densePerplexity - 1;
    }

    /**
     * Runs both softmax heads, streaming over the vocabulary. A perplexity too large for a double is infinite.
     *
     * @param dense A, N x D
     * @param bias the model's, length N, or {@code null}: added to the logits of both, but not to the compressed ones where
     *     {@code compressed} has a bias of its own
     * @param hidden T x D
     * @param targets length T, or {@code null} when unknown
     * @throws InvalidDataException if shapes or lengths differ, a target is no row of the matrix, or a number of the dense
     *     matrix, the bias, the hidden states or the results is NaN or infinite
     */
    public static Evaluation of(
            Backend backend, Matrix dense, float[] bias, CompressedMatrix compressed, Matrix hidden, int[] targets) {
        requireShapes(dense, bias, compressed, hidden);
        requireTargets(targets, hidden, dense);
        for (int i = 0; bias != null && i < bias.length; i++) {
            if (!Float.isFinite(bias[i])) {
                throw new InvalidDataException("The bias of " + dense.name() + " holds " + bias[i] + " at index " + i
                        + "; only finite numbers can be used.");
            }
        }
        FiniteCheck.requireFinite(hidden, hidden.name());
        FiniteCheck.requireFinite(dense, dense.name());
        int top = Math.min(TOP, dense.rows());
        float[] compressedBias = compressed.bias() == null ? bias : compressed.bias();
        TokenScores scores =
                backend.compare(new SoftmaxComparison(dense, bias, compressed, compressedBias, hidden, targets, top));
        int tokens = hidden.rows();
        double denseLoss = 0;
        double compressedLoss = 0;
        double kl = 0;
        double sameFirst = 0;
        double shared = 0;
        for (int t = 0; t < tokens; t++) {
            double z = scores.denseLogSumExp()[t];
            double y = scores.compressedLogSumExp()[t];
            // KL is never negative; what is below 0 here is rounding.
            kl += Math.max(0, scores.expectedGap()[t] - z + y);
            if (targets != null) {
                denseLoss += z - scores.denseTargetLogit()[t];
                compressedLoss += y - scores.compressedTargetLogit()[t];
            }
            sameFirst += scores.denseTop()[t * top] == scores.compressedTop()[t * top] ? 1 : 0;
            shared += shared(scores.denseTop(), scores.compressedTop(), t * top, top);
        }
        // Of finite inputs only a logit beyond binary32, or a factor that is not finite, can make a result that is not.
        if (!Double.isFinite(kl) || !Double.isFinite(denseLoss) || !Double.isFinite(compressedLoss)) {
            throw new InvalidDataException(
                    "The logits of " + dense.name() + " and '" + compressed.name() + "' over "
                            + hidden.name()
                            + " are not all finite: the compressed factors hold NaN or infinity, or the numbers are too large.");
        }
        return new Evaluation(
                tokens,
                targets == null ? Double.NaN : Math.exp(denseLoss / tokens),
                targets == null ? Double.NaN : Math.exp(compressedLoss / tokens),
                kl / tokens,
                sameFirst / tokens,
                shared / ((double) tokens * top));
    }

    private static void requireShapes(Matrix dense, float[] bias, CompressedMatrix compressed, Matrix hidden) {
        compressed.requireStandsFor(dense);
        if (hidden.columns() != dense.columns()) {
            throw new InvalidDataException(hidden.name() + " is " + hidden.columns() + " wide but " + dense.name()
                    + " has " + dense.columns() + " columns; give hidden states of this model.");
        }
        if (bias != null && bias.length != dense.rows()) {
            throw new InvalidDataException(
                    "The bias of " + dense.name() + " has " + bias.length + " entries for " + dense.rows() + " rows.");
        }
    }

    private static void requireTargets(int[] targets, Matrix hidden, Matrix dense) {
        if (targets == null) {
            return;
        }
        if (targets.length != hidden.rows()) {
            throw new InvalidDataException(hidden.name() + " has " + hidden.rows() + " hidden states but there are "
                    + targets.length + " targets; give one target for each.");
        }
        for (int t = 0; t < targets.length; t++) {
            if (targets[t] < 0 || targets[t] >= dense.rows()) {
                throw new InvalidDataException("The target at index " + t + " is " + targets[t] + ", but "
                        + dense.name() + " has only rows 0 to " + (dense.rows() - 1) + ".");
            }
        }
    }

    private static int shared(int[] a, int[] b, int offset, int count) {
        int found = 0;
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < count; j++) {
                found += a[offset + i] == b[offset + j] ? 1 : 0;
            }
        }
        return found;
    }
}
