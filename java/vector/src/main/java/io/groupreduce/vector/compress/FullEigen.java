package io.groupreduce.vector.compress;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * The eigenpairs of a dense symmetric matrix on all threads: reduced to a tridiagonal one, solved by divide and conquer, and taken back.
 * Small matrices are left to {@link SymmetricEigen}.
 */
final class FullEigen {
    /** Up to this order one thread needs less than a quarter of a second. */
    private static final int SMALL = 384;

    private FullEigen() {}

    /**
     * The leading eigenpairs, values below zero as they are.
     *
     * @param matrix n x n row-major, symmetric; overwritten
     */
    static Eigenpairs of(Workers workers, double[] matrix, int n, int rank) {
        if (n <= SMALL) {
            SymmetricEigen eigen = SymmetricEigen.of(matrix, n);
            float[] vectors = new float[rank * n];
            for (int x = 0; x < vectors.length; x++) {
                vectors[x] = (float) eigen.vectors()[x];
            }
            return new Eigenpairs(Arrays.copyOf(eigen.values(), rank), vectors);
        }
        return divided(workers, matrix, n, rank);
    }

    /** The way for large matrices, n at least 3. */
    static Eigenpairs divided(Workers workers, double[] matrix, int n, int rank) {
        double largest = 0;
        for (double x : matrix) {
            largest = Math.max(largest, Math.abs(x));
        }
        if (largest == 0) {
            return BasisSolver.nothing(rank, n);
        }
        for (int x = 0; x < matrix.length; x++) {
            matrix[x] /= largest;
        }
        Tridiagonal reduced = Tridiagonal.of(workers, matrix, n);
        TridiagonalEigen eigen = TridiagonalEigen.of(workers, reduced.diagonal(), reduced.beside());
        double[] values = new double[rank];
        int stride = Lanes.padColumns(n);
        float[] wide = new float[Lanes.padRows(rank) * stride];
        for (int j = 0; j < rank; j++) {
            values[j] = largest * eigen.values()[n - 1 - j];
            System.arraycopy(eigen.vectors()[n - 1 - j], 0, wide, j * stride, n);
            eigen.vectors()[n - 1 - j] = null;
        }
        reduced.restore(wide, rank, stride);
        float[] vectors = new float[rank * n];
        float[] lanes = new float[Lanes.LANES];
        for (int j = 0; j < rank; j++) {
            // Rounding of many turns adds up in a vector's length.
            float scale = (float) (1 / Math.sqrt(Lanes.squares(wide, j * stride, n, lanes)));
            Lanes.scale(wide, j * stride, n, scale, vectors, j * n);
        }
        return new Eigenpairs(values, vectors);
    }
}
