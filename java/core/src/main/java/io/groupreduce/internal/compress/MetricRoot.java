package io.groupreduce.internal.compress;

import io.groupreduce.api.Metric;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.util.Arrays;

/**
 * The root of a {@link Metric}.
 *
 * @param root S = M^(1/2), D x D row-major, symmetric
 * @param rootInverse S^-1
 */
public record MetricRoot(double[] root, double[] rootInverse) {
    /** Relative to the mean eigenvalue: keeps S invertible and directions that were never met from being forgotten. */
    public static final double RIDGE = 1e-4;

    /** Per missing hidden state, as a share of D, and relative to the mean eigenvalue. */
    private static final double FEW_STATES_RIDGE = 0.05;

    /** Hidden states that are added to a second moment in one pass over it. */
    private static final int BATCH = 256;

    /**
     * The root of a second moment with a ridge of {@link #RIDGE} times its mean eigenvalue. It takes a full eigendecomposition,
     * however few rows the matrix has: 1.4 s of a core at D = 1,024, 14 s at 2,048, and so on with D^3.
     *
     * @throws InvalidDataException if it is not positive semidefinite
     */
    public static MetricRoot of(DenseAlgebra algebra, Metric metric) {
        int columns = metric.columns();
        double trace = metric.trace();
        SymmetricEigen eigen = SymmetricEigen.of(metric.moment(), columns);
        if (!(trace > 0) || eigen.values()[columns - 1] < -Metric.TOLERANCE * eigen.values()[0]) {
            throw new InvalidDataException(metric.name() + " is not positive semidefinite (least eigenvalue "
                    + eigen.values()[columns - 1] + "); a metric is a second moment such as E[h h^T].");
        }
        double ridge = RIDGE * trace / columns;
        double[] roots = new double[columns];
        double[] inverses = new double[columns];
        for (int k = 0; k < columns; k++) {
            roots[k] = Math.sqrt(Math.max(0, eigen.values()[k]) + ridge);
            inverses[k] = 1 / roots[k];
        }
        double[] root = new double[columns * columns];
        double[] inverse = new double[columns * columns];
        algebra.addOuterProducts(root, columns, eigen.vectors(), roots, columns);
        algebra.addOuterProducts(inverse, columns, eigen.vectors(), inverses, columns);
        return new MetricRoot(root, inverse);
    }

    /** The trace of the metric: the sum of its root's squares. */
    double trace() {
        double trace = 0;
        for (double value : root) {
            trace += value * value;
        }
        return trace;
    }

    /** The root of {@link #hiddenMoment}. */
    public static MetricRoot ofHidden(DenseAlgebra algebra, Matrix hidden) {
        return of(algebra, hiddenMoment(algebra, hidden));
    }

    /**
     * E[h h^T] of hidden states, T x D. Where T is less than D the states say nothing of most directions, so the ridge grows
     * by 0.05 (1 - T / D) of the mean eigenvalue.
     *
     * @throws InvalidDataException if the states are all zero or D is over {@link CompressedMatrix#MAX_COLUMNS}
     */
    public static Metric hiddenMoment(DenseAlgebra algebra, Matrix hidden) {
        int columns = hidden.columns();
        double[] moment = secondMoment(algebra, hidden);
        if (hidden.rows() < columns) {
            double trace = 0;
            for (int j = 0; j < columns; j++) {
                trace += moment[j * columns + j];
            }
            double ridge = FEW_STATES_RIDGE * (1 - (double) hidden.rows() / columns) * trace / columns;
            for (int j = 0; j < columns; j++) {
                moment[j * columns + j] += ridge;
            }
        }
        return new Metric("The second moment of " + hidden.name(), columns, moment);
    }

    /**
     * For a matrix that serves two uses, such as tied weights: the mean of both second moments, each scaled to trace 1 first,
     * since their units have nothing to do with each other.
     */
    public static MetricRoot combined(
            DenseAlgebra algebra, MetricRoot first, MetricRoot second, int columns, String where) {
        double[] sum = new double[columns * columns];
        for (MetricRoot metric : new MetricRoot[] {first, second}) {
            double[] factors = new double[columns];
            Arrays.fill(factors, 1 / metric.trace());
            algebra.addOuterProducts(sum, columns, metric.root(), factors, columns);
        }
        return of(algebra, new Metric(where, columns, sum));
    }

    /**
     * E[h h^T] of hidden states, T x D, as D x D row-major.
     *
     * @throws InvalidDataException if D is over {@link CompressedMatrix#MAX_COLUMNS}
     */
    public static double[] secondMoment(DenseAlgebra algebra, Matrix hidden) {
        int columns = hidden.columns();
        Metric.requireSide(hidden.name(), columns);
        double[] moment = new double[columns * columns];
        float[] h = new float[columns];
        double[] batch = new double[Math.min(BATCH, hidden.rows()) * columns];
        double[] ones = new double[BATCH];
        Arrays.fill(ones, 1);
        for (long first = 0; first < hidden.rows(); first += BATCH) {
            int count = (int) Math.min(BATCH, hidden.rows() - first);
            for (int t = 0; t < count; t++) {
                hidden.readRow(first + t, h, 0);
                for (int j = 0; j < columns; j++) {
                    batch[t * columns + j] = h[j];
                }
            }
            algebra.addOuterProducts(moment, columns, batch, ones, count);
        }
        for (int i = 0; i < moment.length; i++) {
            moment[i] /= hidden.rows();
        }
        return moment;
    }
}
