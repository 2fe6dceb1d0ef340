package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;

/**
 * Looks at every stored number that could make a logit NaN or infinite, once, at the speed of memory: a row that is damaged would
 * otherwise be left out of an answer in silence, or never be looked at behind a bound.
 */
public final class FactorCheck {
    /** Kernels round on the way. */
    private static final double ROUNDING = 0.9;

    private static final int MOST_BYTE = 255;

    private FactorCheck() {}

    /**
     * Checks the factors of a matrix and the bias that goes with it, {@code null} for none.
     *
     * @return the largest magnitude of a number of a hidden state with which no logit, and nothing on the way to it, can leave binary32
     * @throws InvalidDataException naming the factor and the first number that is NaN or infinite, if rows may decode to such numbers, or
     *     if the bias is not of length N
     */
    public static float requireFinite(CompressedMatrix matrix, float[] bias) {
        SoftmaxChecks.requireBias(bias, matrix.rows(), "'" + matrix.name() + "'");
        double[] norms = new double[matrix.bases()];
        double most = 1;
        for (int b = 0; b < norms.length; b++) {
            norms[b] = largestRow(matrix, b);
            most = Math.max(most, norms[b]);
        }
        for (int g = 0; g < matrix.groups().size(); g++) {
            EncodedMatrix left = matrix.left(g);
            if (left != null && left.rows() > 0) {
                String what = "The left factor of group " + g + " of '" + matrix.name() + "'";
                int basis = matrix.groups().get(g).basis();
                double gain = gain(left, what) * (basis < norms.length ? norms[basis] : 1);
                if (!(gain <= Float.MAX_VALUE)) {
                    throw new InvalidDataException(
                            what + " holds numbers so large that rows leave binary32; the file is"
                                    + " damaged, compress the model again.");
                }
                most = Math.max(most, gain);
            }
        }
        double largestBias = 0;
        for (int i = 0; bias != null && i < bias.length; i++) {
            largestBias = Math.max(largestBias, Math.abs(bias[i]));
        }
        return (float) ((Float.MAX_VALUE - largestBias) / most * ROUNDING);
    }

    /** The largest sum of magnitudes of a direction of a basis. */
    private static double largestRow(CompressedMatrix matrix, int basis) {
        float[] right = matrix.decodedRight(basis);
        int columns = matrix.columns();
        Finite.require(Matrix.of(
                "The right factor of basis " + basis + " of '" + matrix.name() + "'",
                right,
                right.length / columns,
                columns));
        double largest = 0;
        for (int at = 0; at < right.length; at += columns) {
            double sum = 0;
            for (int j = at; j < at + columns; j++) {
                sum += Math.abs(right[j]);
            }
            largest = Math.max(largest, sum);
        }
        return largest;
    }

    /** At most so much larger than what meets a row's numbers is what they make of it, with their scales or before these. */
    private static double gain(EncodedMatrix factor, String what) {
        BitProfile profile = factor.profile();
        if (!profile.scaled()) {
            DType type = profile.most() == Float.SIZE ? DType.F32 : DType.BF16;
            return profile.width()
                    * Math.max(
                            1.0,
                            Finite.requireLargest(Matrix.of(what, type, factor.rows(), factor.width(), factor.data())));
        }
        double values = 0;
        for (int j = 0; j < profile.width(); j++) {
            values += CodeValues.largest(profile.bits(j));
        }
        // Every byte of a logarithmic scale stands for a finite one.
        double scale = factor.scaleFormat() == ScaleFormat.LOG8
                ? ScaleFormat.log8(MOST_BYTE)
                : Finite.requireLargest(Matrix.of(
                        what + ", its scales,",
                        factor.scaleFormat().type(),
                        factor.rows(),
                        factor.scalesPerRow(),
                        factor.scales()));
        return values * Math.max(1, scale);
    }
}
