package io.groupreduce.api;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;

/**
 * What meets the matrix, as a D x D second moment M: E[h h^T] of the hidden states for a softmax. An error in a direction that
 * nothing meets does no harm. It has to be measured on what really meets the matrix: W^T W of the layer after an embedding, which
 * leaves out residual connections and normalisation, made a real transformer worse.
 *
 * @param name file and tensor, for messages
 * @param columns D, at most {@link CompressedMatrix#MAX_COLUMNS}
 * @param moment D x D row-major, finite and symmetric; callers must not write to it
 */
public record Metric(String name, int columns, double[] moment) {
    /** How far from symmetric, relative to its largest element, and from positive semidefinite, relative to its largest eigenvalue. */
    public static final double TOLERANCE = 1e-4;

    /** Of a moment with no larger element the ridge would vanish in the range of doubles. */
    private static final double LEAST_ELEMENT = 1e-290;

    /**
     * Checks the moment. That it is positive semidefinite is checked when it is used.
     *
     * @throws InvalidDataException if it is not D x D, not finite, not symmetric, or zero
     */
    public Metric {
        requireSide(name, columns);
        if (moment.length != columns * columns) {
            throw new InvalidDataException(
                    name + " has " + moment.length + " elements; " + columns + " x " + columns + " are needed.");
        }
        requireSymmetric(moment, columns, name);
    }

    /** The sum of the diagonal, above 0 for a second moment. */
    public double trace() {
        double sum = 0;
        for (int i = 0; i < columns; i++) {
            sum += moment[i * columns + i];
        }
        return sum;
    }

    /**
     * Checks a side before anything is computed.
     *
     * @throws InvalidDataException if it is out of range
     */
    public static void requireSide(String name, int columns) {
        if (columns < 1 || columns > CompressedMatrix.MAX_COLUMNS) {
            throw new InvalidDataException(name + " has " + columns + " columns; a metric can have 1 to "
                    + CompressedMatrix.MAX_COLUMNS + ".");
        }
    }

    private static void requireSymmetric(double[] moment, int columns, String name) {
        double trace = 0;
        double largest = 0;
        for (int i = 0; i < columns; i++) {
            trace += moment[i * columns + i];
            for (int j = 0; j < columns; j++) {
                if (!Double.isFinite(moment[i * columns + j])) {
                    throw new InvalidDataException(name + " holds NaN or infinity at row " + i + ", column " + j
                            + "; recompute the metric from finite data.");
                }
                largest = Math.max(largest, Math.abs(moment[i * columns + j]));
            }
        }
        if (largest < LEAST_ELEMENT) {
            throw new InvalidDataException(
                    name + " is zero everywhere, so no direction would matter; recompute the metric, or leave it out.");
        }
        if (!Double.isFinite(trace)) {
            throw new InvalidDataException(name
                    + " has so large a diagonal that its sum overflows; divide the metric by its largest element.");
        }
        for (int i = 0; i < columns; i++) {
            for (int j = 0; j < i; j++) {
                double gap = Math.abs(moment[i * columns + j] - moment[j * columns + i]);
                if (gap > TOLERANCE * largest) {
                    throw new InvalidDataException(name + " is not symmetric: elements (" + i + ", " + j + ") and (" + j
                            + ", " + i + ") differ by " + gap + "; a metric is a second moment such as E[h h^T].");
                }
            }
        }
    }
}
