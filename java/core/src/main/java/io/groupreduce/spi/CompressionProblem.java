package io.groupreduce.spi;

import io.groupreduce.matrix.Matrix;

/**
 * What a compression minimises: {@code sum_i weights[i] * ||(A_i - A^_i) S||^2}.
 *
 * @param matrix A, N x D
 * @param weights w, length N, finite and not negative
 * @param metricRoot S, D x D row-major and symmetric; {@code null} means the identity
 * @param metricRootInverse S^-1; {@code null} exactly when {@code metricRoot} is
 */
public record CompressionProblem(Matrix matrix, float[] weights, double[] metricRoot, double[] metricRootInverse) {
    /** The plain weighted Frobenius error: S is the identity. */
    public static CompressionProblem weighted(Matrix matrix, float[] weights) {
        return new CompressionProblem(matrix, weights, null, null);
    }
}
