package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.MemorySegment;

/**
 * Looks at every stored number that could make a logit NaN or infinite, once, at the speed of memory: a row that is damaged would
 * otherwise be left out of an answer in silence, or never be looked at behind a bound.
 */
public final class FactorCheck {
    private FactorCheck() {}

    /**
     * Checks the factors of a matrix and the bias that goes with it, {@code null} for none.
     *
     * @throws InvalidDataException naming the factor and the first number that is NaN or infinite, or if the bias is not of length N
     */
    public static void requireFinite(CompressedMatrix matrix, float[] bias) {
        SoftmaxChecks.requireBias(bias, matrix.rows(), "'" + matrix.name() + "'");
        for (int g = 0; g < matrix.groups().size(); g++) {
            if (matrix.left(g) != null) {
                requireFinite(matrix.left(g), "The left factor of group " + g + " of '" + matrix.name() + "'");
            }
        }
        for (int b = 0; b < matrix.bases(); b++) {
            String what = "The right factor of basis " + b + " of '" + matrix.name() + "'";
            MemorySegment decoded = MemorySegment.ofArray(matrix.decodedRight(b));
            requireFinite(what, DType.F32, matrix.right(b).rows(), matrix.columns(), decoded);
        }
    }

    private static void requireFinite(EncodedMatrix factor, String what) {
        if (!factor.profile().scaled()) {
            requireFinite(
                    what,
                    factor.profile().most() == Float.SIZE ? DType.F32 : DType.BF16,
                    factor.rows(),
                    factor.width(),
                    factor.data());
        } else if (factor.scaleFormat() != ScaleFormat.LOG8) { // of which every byte stands for a finite scale
            DType type = factor.scaleFormat().type();
            requireFinite(what + ", its scales,", type, factor.rows(), factor.scalesPerRow(), factor.scales());
        }
    }

    private static void requireFinite(String what, DType type, long rows, int width, MemorySegment data) {
        if (rows > 0 && width > 0) {
            Finite.require(Matrix.of(what, type, rows, width, data));
        }
    }
}
