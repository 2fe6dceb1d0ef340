package io.groupreduce.internal.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;

/** The error of what is stored, decoded as a reader will: sqrt(sum_i w_i ||A_i - A^_i||^2 / sum_i w_i ||A_i||^2). */
public final class RelativeError {
    private RelativeError() {}

    /** Under w_i = (c_i + 1)^alpha; 0 for a matrix of zeros. */
    public static double of(
            ComputeBackend backend, Matrix matrix, long[] counts, double alpha, CompressedMatrix approximation) {
        float[] weights = Weights.scaledToMeanOne(Weights.raw(counts, alpha));
        try (CompressionWorkspace workspace = backend.open(CompressionProblem.weighted(matrix, weights))) {
            return workspace.loss(approximation).relativeError();
        }
    }
}
