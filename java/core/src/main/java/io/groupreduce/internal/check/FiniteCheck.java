package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Finds NaN and infinity in a matrix at the speed of memory.
 *
 * <p>A number is not finite when all its exponent bits are set. Adding one unit of the exponent to the magnitude carries
 * into the sign bit exactly then; for 16-bit numbers one 32-bit addition does that for two at once, without a carry from
 * the lower to the upper. The carries of a block are OR-ed together, and only a block that has one is searched.
 */
public final class FiniteCheck {
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    /** 16 KiB: half of the smallest first-level cache in use. */
    private static final int BLOCK = 4096;

    private FiniteCheck() {}

    /**
     * Checks every number of a matrix.
     *
     * @param what how the message calls the matrix: file and tensor
     * @throws InvalidDataException naming row and column of the first number that is NaN or infinite
     */
    public static void requireFinite(Matrix matrix, String what) {
        long bad = firstNotFinite(matrix);
        if (bad >= 0) {
            float[] row = new float[matrix.columns()];
            matrix.readRow(bad / matrix.columns(), row, 0);
            int column = (int) (bad % matrix.columns());
            throw new InvalidDataException(what + " holds " + row[column] + " in row " + bad / matrix.columns()
                    + ", column " + column + "; only finite numbers can be used.");
        }
    }

    /** The row-major index of the first NaN or infinity, or -1. */
    public static long firstNotFinite(Matrix matrix) {
        int sign;
        int unit;
        switch (matrix.type()) {
            case F32 -> {
                sign = 0x80000000;
                unit = 0x00800000;
            }
            case BF16 -> {
                sign = 0x80008000;
                unit = 0x00800080;
            }
            default -> {
                sign = 0x80008000;
                unit = 0x04000400;
            }
        }
        MemorySegment data = matrix.data();
        int[] block = new int[BLOCK];
        long words = data.byteSize() / Integer.BYTES;
        for (long at = 0; at < words; at += BLOCK) {
            int n = (int) Math.min(BLOCK, words - at);
            MemorySegment.copy(data, I32, at * Integer.BYTES, block, 0, n);
            if ((carries(block, n, ~sign, unit) & sign) != 0) {
                return search(matrix, at * Integer.BYTES, (at + n) * Integer.BYTES);
            }
        }
        return search(matrix, words * Integer.BYTES, data.byteSize());
    }

    private static int carries(int[] block, int n, int magnitude, int unit) {
        int any = 0;
        for (int i = 0; i < n; i++) {
            any |= (block[i] & magnitude) + unit;
        }
        return any;
    }

    /** Looks at the numbers from byte {@code from} to byte {@code to} one by one. */
    private static long search(Matrix matrix, long from, long to) {
        int width = matrix.type().bytes();
        for (long at = from; at < to; at += width) {
            boolean finite =
                    switch (matrix.type()) {
                        case F32 -> (matrix.data().get(I32, at) & 0x7f800000) != 0x7f800000;
                        case BF16 -> (matrix.data().get(I16, at) & 0x7f80) != 0x7f80;
                        default -> (matrix.data().get(I16, at) & 0x7c00) != 0x7c00;
                    };
            if (!finite) {
                return at / width;
            }
        }
        return -1;
    }
}
