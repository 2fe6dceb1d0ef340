package io.groupreduce.internal.compress;

import io.groupreduce.matrix.ScaleFormat;

/** Which step each row of a packed matrix has: {@code step^2 ~ 1 / w_i}, rounded to one of {@link RoundedRows#STEP}. */
final class RowSteps {
    /** How far rows of equal weight are spread, in steps' distances. */
    private static final double SPREAD = 0.15;

    private static final double GOLDEN = (Math.sqrt(5) - 1) / 2;

    private final float[] weights;

    /** {@code given} weights of mean 1; one too small for single precision counts as the least there is. */
    RowSteps(float[] given) {
        weights = new float[given.length];
        for (int i = 0; i < given.length; i++) {
            weights[i] = Math.max(given[i], Float.MIN_NORMAL);
        }
    }

    /** How many steps rows have, at most, but for raised ones. */
    int different() {
        double least = Double.POSITIVE_INFINITY;
        double most = 0;
        for (float weight : weights) {
            least = Math.min(least, weight);
            most = Math.max(most, weight);
        }
        return (int) Math.ceil(4 * Math.log(most / least) / Math.log(2) / RoundedRows.STEP) + 2;
    }

    /** The step of a row, a byte of {@link ScaleFormat#LOG8}, where rows of weight 1 have 2^{@code octaves}. */
    int of(double octaves, int row) {
        double eighths = 8 * (octaves - Math.log(weights[row]) / Math.log(4)) + 192;
        // Rows of equal weight do not all change at the same step, so that the size can be filled.
        double spread = SPREAD * (row * GOLDEN - Math.floor(row * GOLDEN) - 0.5);
        double wanted = Math.clamp(eighths, RoundedRows.STEP, RoundedRows.LARGEST_STEP);
        int rounded = (int) (RoundedRows.STEP * Math.round(wanted / RoundedRows.STEP + spread));
        return Math.clamp(rounded, RoundedRows.STEP, RoundedRows.LARGEST_STEP);
    }
}
