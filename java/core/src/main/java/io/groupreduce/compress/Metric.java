package io.groupreduce.compress;

import io.groupreduce.InvalidDataException;
import io.groupreduce.Matrix;
import io.groupreduce.backend.SymmetricEigen;

/**
 * What meets the matrix, as a D x D second moment M: E[h h^T] of the hidden states for a softmax, W^T W of the next layer for
 * an embedding. An error in a direction that nothing meets does no harm.
 *
 * @param root S = M^(1/2), D x D row-major, symmetric
 * @param rootInverse S^-1
 */
public record Metric(double[] root, double[] rootInverse) {
    /** Relative to the mean eigenvalue: keeps S invertible and directions that were never met from being forgotten. */
    public static final double RIDGE = 1e-4;

    private static final double SYMMETRY_TOLERANCE = 1e-4;

    /**
     * The root of a second moment with a ridge of {@link #RIDGE} times its mean eigenvalue.
     *
     * @param moment D x D row-major
     * @param where file and tensor, for messages
     * @throws InvalidDataException if it is not finite, not symmetric, or not positive semidefinite
     */
    public static Metric of(double[] moment, int columns, String where) {
        double trace = 0;
        double largest = 0;
        for (int i = 0; i < columns; i++) {
            trace += moment[i * columns + i];
            for (int j = 0; j < columns; j++) {
                if (!Double.isFinite(moment[i * columns + j])) {
                    throw new InvalidDataException(where + " holds NaN or infinity at row " + i + ", column " + j
                            + "; recompute the metric from finite data.");
                }
                largest = Math.max(largest, Math.abs(moment[i * columns + j]));
            }
        }
        for (int i = 0; i < columns; i++) {
            for (int j = 0; j < i; j++) {
                double gap = Math.abs(moment[i * columns + j] - moment[j * columns + i]);
                if (gap > SYMMETRY_TOLERANCE * largest) {
                    throw new InvalidDataException(where + " is not symmetric: elements (" + i + ", " + j + ") and ("
                            + j + ", " + i + ") differ by " + gap + "; a metric is a second moment such as E[h h^T].");
                }
            }
        }
        SymmetricEigen eigen = SymmetricEigen.of(moment, columns);
        if (!(trace > 0) || eigen.values()[columns - 1] < -SYMMETRY_TOLERANCE * eigen.values()[0]) {
            throw new InvalidDataException(where + " is not positive semidefinite (least eigenvalue "
                    + eigen.values()[columns - 1] + "); a metric is a second moment such as E[h h^T].");
        }
        double ridge = RIDGE * trace / columns;
        double[] root = new double[columns * columns];
        double[] inverse = new double[columns * columns];
        for (int k = 0; k < columns; k++) {
            double value = Math.sqrt(Math.max(0, eigen.values()[k]) + ridge);
            for (int i = 0; i < columns; i++) {
                double vi = eigen.vectors()[k * columns + i];
                for (int j = 0; j < columns; j++) {
                    double outer = vi * eigen.vectors()[k * columns + j];
                    root[i * columns + j] += value * outer;
                    inverse[i * columns + j] += outer / value;
                }
            }
        }
        return new Metric(root, inverse);
    }

    /** E[h h^T] of hidden states, T x D, as D x D row-major. */
    public static double[] secondMoment(Matrix hidden) {
        int columns = hidden.columns();
        double[] moment = new double[columns * columns];
        float[] h = new float[columns];
        for (int t = 0; t < hidden.rows(); t++) {
            hidden.readRow(t, h, 0);
            for (int i = 0; i < columns; i++) {
                for (int j = 0; j < columns; j++) {
                    moment[i * columns + j] += (double) h[i] * h[j];
                }
            }
        }
        for (int i = 0; i < moment.length; i++) {
            moment[i] /= hidden.rows();
        }
        return moment;
    }
}
