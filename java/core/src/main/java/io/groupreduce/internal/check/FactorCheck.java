package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;

/**
 * Looks at every stored number that could make a logit NaN or infinite, once, at the speed of memory: a row that is damaged would
 * otherwise be left out of an answer in silence, or never be looked at behind a bound.
 */
public final class FactorCheck {
    private FactorCheck() {}

    /** @throws InvalidDataException naming the factor and the first number that is NaN or infinite */
    public static void requireFinite(CompressedMatrix matrix, float[] bias) {
        for (int g = 0; g < matrix.groups().size(); g++) {
            if (matrix.left(g) != null) {
                requireFinite(matrix.left(g), "The left factor of group " + g + " of '" + matrix.name() + "'");
            }
        }
        for (int b = 0; b < matrix.bases(); b++) {
            EncodedMatrix right = matrix.right(b);
            if (right.rows() > 0) {
                String what = "The right factor of basis " + b + " of '" + matrix.name() + "'";
                FiniteCheck.requireFinite(
                        Matrix.of(what, matrix.decodedRight(b), (int) right.rows(), right.width()), what);
            }
        }
        int bad = bias == null ? -1 : Finite.firstNot(bias, 0, bias.length);
        if (bad >= 0) {
            throw new InvalidDataException("The bias of '" + matrix.name() + "' holds " + bias[bad] + " at index " + bad
                    + "; only finite numbers can be used.");
        }
    }

    private static void requireFinite(EncodedMatrix factor, String what) {
        if (factor.codec().scaled()) {
            String scales = what + ", its scales,";
            switch (factor.scaleFormat()) {
                case F32 -> requireFinite(scales, DType.F32, factor, factor.scalesPerRow(), factor.scales());
                case BF16 -> requireFinite(scales, DType.BF16, factor, factor.scalesPerRow(), factor.scales());
                case LOG8 -> {
                    // every byte stands for a finite scale
                }
            }
        } else {
            DType type = factor.codec() == Codec.F32 ? DType.F32 : DType.BF16;
            requireFinite(what, type, factor, factor.width(), factor.data());
        }
    }

    private static void requireFinite(String what, DType type, EncodedMatrix factor, int width, MemorySegment data) {
        if (factor.rows() > 0 && width > 0) {
            FiniteCheck.requireFinite(Matrix.of(what, type, factor.rows(), width, data), what);
        }
    }
}
