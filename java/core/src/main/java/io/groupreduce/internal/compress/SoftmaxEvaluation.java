package io.groupreduce.internal.compress;

import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.check.ChanceCheck;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;

/** Runs the dense and the compressed softmax over the same hidden states. */
public final class SoftmaxEvaluation {
    private static final int TOP = 10;

    private SoftmaxEvaluation() {}

    /**
     * Runs both softmax heads, streaming over the vocabulary. Shapes fit and numbers are finite: the public API checked them.
     *
     * @throws InvalidDataException if the logits are not all finite, or the dense softmax is worse than chance
     * @see io.groupreduce.GroupReduce#evaluate
     */
    public static Evaluation of(
            ComputeBackend backend,
            Matrix dense,
            float[] bias,
            CompressedMatrix compressed,
            Matrix hidden,
            int[] targets) {
        int top = Math.min(TOP, dense.rows());
        float[] compressedBias = compressed.bias() == null ? bias : compressed.bias();
        TokenScores scores =
                backend.compare(new SoftmaxComparison(dense, bias, compressed, compressedBias, hidden, targets, top));
        int tokens = hidden.rows();
        double[] denseLosses = new double[targets == null ? 0 : tokens];
        double[] compressedLosses = denseLosses.clone();
        double[] differences = denseLosses.clone();
        double[] kl = new double[tokens];
        double[] sameFirst = new double[tokens];
        double[] shared = new double[tokens];
        for (int t = 0; t < tokens; t++) {
            double z = scores.denseLogSumExp()[t];
            double y = scores.compressedLogSumExp()[t];
            // KL is never negative; what is below 0 here is rounding.
            kl[t] = Math.max(0, scores.expectedGap()[t] - z + y);
            if (targets != null) {
                denseLosses[t] = z - scores.denseTargetLogit()[t];
                compressedLosses[t] = y - scores.compressedTargetLogit()[t];
                differences[t] = compressedLosses[t] - denseLosses[t];
            }
            sameFirst[t] = scores.denseTop()[t * top] == scores.compressedTop()[t * top] ? 1 : 0;
            shared[t] = shared(scores.denseTop(), scores.compressedTop(), t * top, top) / (double) top;
        }
        Estimate meanKl = BatchMeans.of(kl);
        Estimate denseLoss = targets == null ? Estimate.UNKNOWN : BatchMeans.of(denseLosses);
        Estimate compressedLoss = targets == null ? Estimate.UNKNOWN : BatchMeans.of(compressedLosses);
        // Of finite inputs only a logit beyond binary32, or a factor that is not finite, can make a result that is not.
        double sum = targets == null ? 0 : denseLoss.mean() + compressedLoss.mean();
        if (!Double.isFinite(sum + meanKl.mean())) {
            throw new InvalidDataException(
                    "The logits of " + dense.name() + " and '" + compressed.name() + "' over "
                            + hidden.name()
                            + " are not all finite: the compressed factors hold NaN or infinity, or the numbers are too large.");
        }
        ChanceCheck.require(dense, hidden, denseLosses);
        return new Evaluation(
                tokens,
                denseLoss,
                compressedLoss,
                targets == null ? Estimate.UNKNOWN : BatchMeans.of(differences),
                new Estimate(meanKl.mean(), Math.max(0, meanKl.low()), meanKl.high()),
                BatchMeans.ofShares(sameFirst),
                BatchMeans.ofShares(shared));
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
