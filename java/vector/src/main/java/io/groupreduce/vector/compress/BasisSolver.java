package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Doubles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.TriangularGram;
import io.groupreduce.vector.kernel.Workers;

/**
 * From the Gram matrix of a basis's rows to its leading directions.
 *
 * <pre>S G S = sum over j of lambda_j v_j v_j^T</pre>
 *
 * <p>The metric is applied to the D x D matrix here and never to a row. Small matrices, and ranks that are a large part of D,
 * go to the full decomposition in double; the rest to {@link TruncatedEigen}. Bytes: a few D x D matrices, freed on return.
 */
final class BasisSolver {
    private final int columns;
    private final double[] root;
    private final float[] singleRoot;
    private final PackedMatrix packedRoot;

    /** Solves with the metric root S, D x D; {@code null} means the identity. */
    BasisSolver(int columns, double[] root) {
        this.columns = columns;
        this.root = root;
        if (root == null) {
            singleRoot = null;
            packedRoot = null;
        } else {
            singleRoot = new float[Lanes.padRows(columns) * columns];
            for (int x = 0; x < root.length; x++) {
                singleRoot[x] = (float) root[x];
            }
            packedRoot = PackedMatrix.of(singleRoot, columns, columns, columns);
        }
    }

    /** S as a right operand; {@code null} for the identity. */
    PackedMatrix packedRoot() {
        return packedRoot;
    }

    /** The leading {@code rank} eigenpairs; {@code guess} may be {@code null}. */
    Eigenpairs solve(Workers workers, TriangularGram gram, int rank, float[] guess) {
        double largest = gram.largest();
        if (largest == 0) {
            return nothing(rank, columns);
        }
        boolean warm = guess != null && guess.length >= (long) rank * columns;
        if (!TruncatedEigen.pays(columns, rank, warm)) {
            return full(workers, gram, rank);
        }
        PackedMatrix packed = gram.toPacked(1 / largest);
        if (root != null) {
            packed = sandwich(workers, packed);
        }
        Eigenpairs pairs = TruncatedEigen.of(workers, packed, rank, guess);
        for (int j = 0; j < rank; j++) {
            pairs.values()[j] *= largest;
        }
        return pairs;
    }

    /** What rows without energy have: the first axes. */
    static Eigenpairs nothing(int rank, int columns) {
        float[] axes = new float[rank * columns];
        for (int j = 0; j < rank; j++) {
            axes[j * columns + j] = 1;
        }
        return new Eigenpairs(new double[rank], axes);
    }

    private Eigenpairs full(Workers workers, TriangularGram gram, int rank) {
        double[] dense = gram.toDense();
        if (root != null) {
            dense = product(workers, root, product(workers, dense, root));
        }
        Eigenpairs pairs = FullEigen.of(workers, dense, columns, rank);
        for (int j = 0; j < rank; j++) {
            pairs.values()[j] = Math.max(0, pairs.values()[j]);
        }
        return pairs;
    }

    /** S G S in single precision: G S, then its transpose (S G) times S. */
    private PackedMatrix sandwich(Workers workers, PackedMatrix gram) {
        int stride = Lanes.padColumns(columns);
        float[] left = new float[Lanes.padRows(columns) * stride];
        Gemm.multiply(workers, singleRoot, columns, columns, gram, left, stride);
        float[] both = new float[left.length];
        Gemm.multiply(workers, left, stride, columns, packedRoot, both, stride);
        for (int i = 0; i < columns; i++) {
            for (int j = 0; j < i; j++) {
                float mean = 0.5f * (both[i * stride + j] + both[j * stride + i]);
                both[i * stride + j] = mean;
                both[j * stride + i] = mean;
            }
        }
        return PackedMatrix.of(both, columns, columns, stride);
    }

    /** {@code a b} of two D x D matrices, in double, a row of the result a task. */
    private double[] product(Workers workers, double[] a, double[] b) {
        double[] c = new double[columns * columns];
        workers.run(columns, (i, worker) -> Doubles.combineRows(a, i * columns, columns, b, columns, c, i * columns));
        return c;
    }
}
