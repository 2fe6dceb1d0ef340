package io.groupreduce.compress;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.InvalidDataException;
import io.groupreduce.Matrix;
import io.groupreduce.backend.SymmetricEigen;
import java.util.Arrays;
import java.util.stream.IntStream;

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

    /** Per missing hidden state, as a share of D, and relative to the mean eigenvalue. */
    private static final double FEW_STATES_RIDGE = 0.05;

    /** Of a moment with no larger element the ridge would vanish in the range of doubles. */
    private static final double LEAST_ELEMENT = 1e-290;

    /** Rows of a sum of outer products that one thread holds in its cache, and columns of them at a time. */
    private static final int TILE_ROWS = 16;

    private static final int TILE_COLUMNS = 512;

    /** Hidden states that are added to a second moment in one pass over it. */
    private static final int BATCH = 256;

    /**
     * The root of a second moment with a ridge of {@link #RIDGE} times its mean eigenvalue.
     *
     * @param moment D x D row-major
     * @param columns D, at most {@link CompressedMatrix#MAX_COLUMNS}
     * @param where file and tensor, for messages
     * @throws InvalidDataException if it is not D x D, not finite, not symmetric, not positive semidefinite, or zero
     */
    public static Metric of(double[] moment, int columns, String where) {
        requireSide(columns, where);
        if (moment.length != columns * columns) {
            throw new InvalidDataException(
                    where + " has " + moment.length + " elements; " + columns + " x " + columns + " are needed.");
        }
        double trace = requireSymmetric(moment, columns, where);
        SymmetricEigen eigen = SymmetricEigen.of(moment, columns);
        if (!(trace > 0) || eigen.values()[columns - 1] < -SYMMETRY_TOLERANCE * eigen.values()[0]) {
            throw new InvalidDataException(where + " is not positive semidefinite (least eigenvalue "
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
        addOuterProducts(root, columns, eigen.vectors(), roots, columns);
        addOuterProducts(inverse, columns, eigen.vectors(), inverses, columns);
        return new Metric(root, inverse);
    }

    /**
     * E[h h^T] of hidden states, T x D. Where T is less than D the states say nothing of most directions, so the ridge grows
     * by 0.05 (1 - T / D) of the mean eigenvalue.
     *
     * @throws InvalidDataException if the states are all zero or D is over {@link CompressedMatrix#MAX_COLUMNS}
     */
    public static Metric ofHidden(Matrix hidden) {
        int columns = hidden.columns();
        double[] moment = secondMoment(hidden);
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
        return of(moment, columns, "The second moment of " + hidden.name());
    }

    /**
     * For a matrix that serves two uses, such as tied weights: the mean of both second moments, each scaled to trace 1 first,
     * since their units have nothing to do with each other.
     */
    public static Metric combined(Metric first, Metric second, int columns, String where) {
        double[] sum = new double[columns * columns];
        for (Metric metric : new Metric[] {first, second}) {
            double[] root = metric.root();
            double trace = 0;
            for (double value : root) {
                trace += value * value;
            }
            double[] factors = new double[columns];
            Arrays.fill(factors, 1 / trace);
            addOuterProducts(sum, columns, root, factors, columns);
        }
        return of(sum, columns, where);
    }

    private static void requireSide(int columns, String where) {
        if (columns < 1 || columns > CompressedMatrix.MAX_COLUMNS) {
            throw new InvalidDataException(where + " has " + columns + " columns; a metric can have 1 to "
                    + CompressedMatrix.MAX_COLUMNS + ".");
        }
    }

    /** Returns the trace. */
    private static double requireSymmetric(double[] moment, int columns, String where) {
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
        if (largest < LEAST_ELEMENT) {
            throw new InvalidDataException(where
                    + " is zero everywhere, so no direction would matter; recompute the metric, or leave it out.");
        }
        if (!Double.isFinite(trace)) {
            throw new InvalidDataException(where
                    + " has so large a diagonal that its sum overflows; divide the metric by its largest element.");
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
        return trace;
    }

    /**
     * E[h h^T] of hidden states, T x D, as D x D row-major.
     *
     * @throws InvalidDataException if D is over {@link CompressedMatrix#MAX_COLUMNS}
     */
    public static double[] secondMoment(Matrix hidden) {
        int columns = hidden.columns();
        requireSide(columns, hidden.name());
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
            addOuterProducts(moment, columns, batch, ones, count);
        }
        for (int i = 0; i < moment.length; i++) {
            moment[i] /= hidden.rows();
        }
        return moment;
    }

    /**
     * {@code sum += sum_k factors[k] v_k v_k^T} for {@code count} vectors of length n, the rows of {@code vectors}. The order of
     * every element's additions is that of k, whatever the number of threads.
     *
     * @param sum n x n row-major, symmetric before and after: only its upper triangle is computed, the rest is a copy
     */
    private static void addOuterProducts(double[] sum, int n, double[] vectors, double[] factors, int count) {
        IntStream.range(0, Math.ceilDiv(n, TILE_ROWS)).parallel().forEach(tile -> {
            int first = tile * TILE_ROWS;
            int end = Math.min(n, first + TILE_ROWS);
            for (int from = first; from < n; from += TILE_COLUMNS) {
                int to = Math.min(n, from + TILE_COLUMNS);
                for (int k = 0; k < count; k++) {
                    for (int i = first; i < end; i++) {
                        addScaled(sum, i * n, factors[k] * vectors[k * n + i], vectors, k * n, Math.max(i, from), to);
                    }
                }
            }
        });
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                sum[i * n + j] = sum[j * n + i];
            }
        }
    }

    private static void addScaled(
            double[] sum, int row, double factor, double[] vectors, int vector, int from, int to) {
        for (int j = from; j < to; j++) {
            sum[row + j] += factor * vectors[vector + j];
        }
    }
}
