package io.groupreduce.vector.compress;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.TriangularGram;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * The leading directions of a basis of fewer rows than columns, from the products of its rows with each other.
 *
 * <pre>X X^T = sum over j of lambda_j u_j u_j^T,   v_j = X^T u_j / sqrt(lambda_j),   X_i = sqrt(w_i) A_i S,   X: n x D, n &lt; D</pre>
 *
 * <p>{@link GramAccumulator} and {@link BasisSolver} find u_j as they would for D rows of n columns. Rounding of the strong
 * directions is large beside the weak ones, so the v_j are made orthonormal, in order of falling energy. Directions that the
 * rows do not have become random ones.
 *
 * <p>Bytes: A's rows read once; X as rows, as columns and packed (4 n D each); a few n x n matrices and two blocks of rank x D.
 * All is freed on return. Never materialised: anything D x D.
 *
 * @param matrix A, N x D
 * @param weights w [N]
 * @param root S; {@code null} for the identity
 */
record FewRows(Matrix matrix, float[] weights, PackedMatrix root) {
    /** Relative to the largest energy of a row: weaker directions are scaled as if they had this much. */
    private static final double LEAST_VALUE = 1e-14;

    private static final long SEED = 0x726f7773L;

    /** Columns that one task transposes: a cache line of each row. */
    private static final int LINE = 16;

    /** The leading {@code rank} eigenpairs of {@code X^T X} of these rows, fewer than D. */
    Eigenpairs solve(Workers workers, int[] rows, int rank) {
        int n = rows.length;
        int columns = matrix.columns();
        if (n == 0) {
            return BasisSolver.nothing(rank, columns);
        }
        int stride = Lanes.padColumns(columns);
        int step = root == null ? columns : stride;
        float[] x = weighted(workers, rows, step);
        TriangularGram products = products(workers, x, n, step);
        double largest = products.largest();
        if (largest == 0) {
            return BasisSolver.nothing(rank, columns);
        }
        int most = Math.min(rank, n);
        Eigenpairs pairs = new BasisSolver(n, null).solve(workers, products, most, null);
        float[] u = Arrays.copyOf(pairs.vectors(), Lanes.padRows(most) * n);
        for (int j = 0; j < most; j++) {
            double value = Math.max(pairs.values()[j], LEAST_VALUE * largest);
            Lanes.scale(u, j * n, n, (float) (1 / Math.sqrt(value)), u, j * n);
        }
        float[] v = new float[Lanes.padRows(rank) * stride];
        Gemm.multiply(workers, u, n, most, PackedMatrix.of(x, n, columns, step), v, stride);
        SplittableRandom random = new SplittableRandom(SEED);
        float[] directions = new Orthonormal(workers, rank, columns, stride, random).apply(v, new float[v.length]);
        float[] vectors = new float[rank * columns];
        for (int j = 0; j < rank; j++) {
            System.arraycopy(directions, j * stride, vectors, j * columns, columns);
        }
        return new Eigenpairs(Arrays.copyOf(pairs.values(), rank), vectors);
    }

    /** X, its rows {@code step} numbers apart. */
    private float[] weighted(Workers workers, int[] rows, int step) {
        int columns = matrix.columns();
        float[] x = new float[Lanes.padRows(rows.length) * columns];
        RowGather.read(matrix, rows, 0, rows.length, x);
        for (int i = 0; i < rows.length; i++) {
            Lanes.scale(x, i * columns, columns, (float) Math.sqrt(weights[rows[i]]), x, i * columns);
        }
        if (root == null) {
            return x;
        }
        float[] mapped = new float[Lanes.padRows(rows.length) * step];
        Gemm.multiply(workers, x, columns, rows.length, root, mapped, step);
        return mapped;
    }

    /** X X^T: the Gram matrix of the columns of X. */
    private TriangularGram products(Workers workers, float[] x, int n, int step) {
        int columns = matrix.columns();
        float[] transposed = new float[columns * n];
        workers.run(Math.ceilDiv(columns, LINE), (task, worker) -> {
            int end = Math.min(columns, (task + 1) * LINE);
            for (int i = 0; i < n; i++) {
                for (int j = task * LINE; j < end; j++) {
                    transposed[j * n + i] = x[i * step + j];
                }
            }
        });
        float[] ones = new float[columns];
        Arrays.fill(ones, 1);
        TriangularGram products = new TriangularGram(n);
        new GramAccumulator(workers, Matrix.of(matrix.name(), transposed, columns, n), ones)
                .add(products, IntStream.range(0, columns).toArray(), 0, columns, 1);
        return products;
    }
}
