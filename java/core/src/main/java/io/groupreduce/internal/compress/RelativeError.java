package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;

/** The error of what is stored, decoded as a reader will: sqrt(sum_i w_i ||A_i - A^_i||^2 / sum_i w_i ||A_i||^2). */
public final class RelativeError {
    private RelativeError() {}

    /** Under w_i = (c_i + 1)^alpha; 0 for a matrix of zeros. */
    public static double of(
            Backend backend, Matrix matrix, long[] counts, double alpha, CompressedMatrix approximation) {
        float[] weights = Weights.scaledToMeanOne(Weights.raw(counts, alpha));
        try (CompressionWorkspace workspace = backend.open(CompressionProblem.weighted(matrix, weights))) {
            return share(workspace.loss(approximation), workspace.energy());
        }
    }

    /**
     * The count-weighted one, w_i = c_i + 1, which compares between methods, whatever weights and metric each minimised its loss
     * under. Where those were the same weights and no metric, no further pass over the matrix is needed.
     */
    static double countWeighted(CompressionTask task, CompressionResult result) {
        CompressionSummary summary = result.summary();
        if (!summary.metric() && (task.countsAlike() || exponent(summary.options()) == 1)) {
            return share(summary.loss(), summary.energy());
        }
        return of(task.backend(), task.matrix(), task.counts(), 1, result.matrix());
    }

    /** The exponent of the weights that a method's loss is measured under. */
    static double exponent(CompressionOptions settled) {
        return settled.method().weighted() ? settled.alpha().orElseThrow() : 0;
    }

    private static double share(double loss, double energy) {
        return energy == 0 ? 0 : Math.sqrt(loss / energy);
    }
}
