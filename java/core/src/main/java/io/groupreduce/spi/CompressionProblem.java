package io.groupreduce.spi;

import io.groupreduce.matrix.Matrix;

/**
 * What a compression minimises: {@code sum_i weights[i] * ||(A_i - A^_i) S||^2}; and what it is judged by beside that, under other
 * weights and without S.
 *
 * @param matrix A, N x D
 * @param weights w, length N, finite and not negative
 * @param countWeights v of {@link Loss#counted}, likewise; may be the same array
 * @param metricRoot S, D x D row-major and symmetric; {@code null} means the identity
 * @param metricRootInverse S^-1; {@code null} exactly when {@code metricRoot} is
 */
public record CompressionProblem(
        Matrix matrix, float[] weights, float[] countWeights, double[] metricRoot, double[] metricRootInverse) {
    /** The plain weighted Frobenius error: S is the identity, and the weights are one. */
    public static CompressionProblem weighted(Matrix matrix, float[] weights) {
        return new CompressionProblem(matrix, weights, weights, null, null);
    }
}
