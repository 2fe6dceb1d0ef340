package io.groupreduce.internal.linear;

import java.util.Arrays;
import java.util.Comparator;
import org.ojalgo.matrix.decomposition.Eigenvalue;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.R064Store;

/**
 * The full eigendecomposition of a dense symmetric matrix on the processor, in double precision, by ojAlgo. Every backend
 * without a device solver uses it, for the whole Gram matrix or for the small one of a subspace iteration.
 *
 * @param values eigenvalues, descending
 * @param vectors n x n row-major: row j is the unit eigenvector of {@code values[j]}
 */
public record SymmetricEigen(double[] values, double[] vectors) {
    /**
     * Decomposes {@code matrix = sum_j values[j] v_j v_j^T}.
     *
     * @param matrix n x n row-major; only the symmetric part counts
     * @param n the order
     */
    public static SymmetricEigen of(double[] matrix, int n) {
        R064Store store = R064Store.FACTORY.make(n, n);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                store.set(i, j, 0.5 * (matrix[i * n + j] + matrix[j * n + i]));
            }
        }
        Eigenvalue<Double> solver = Eigenvalue.R064.make(n, true);
        solver.decompose(store);
        MatrixStore<Double> d = solver.getD();
        MatrixStore<Double> v = solver.getV();
        double[] found = new double[n];
        Arrays.setAll(found, j -> d.doubleValue(j, j));

        Integer[] order = new Integer[n];
        Arrays.setAll(order, j -> j);
        Arrays.sort(order, Comparator.comparingDouble((Integer j) -> -found[j]));
        double[] values = new double[n];
        double[] vectors = new double[n * n];
        for (int j = 0; j < n; j++) {
            values[j] = found[order[j]];
            for (int i = 0; i < n; i++) {
                vectors[j * n + i] = v.doubleValue(i, order[j]);
            }
        }
        return new SymmetricEigen(values, vectors);
    }
}
