package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Finds NaN and infinity at the speed of memory.
 *
 * <p>A number is not finite when all its exponent bits are set. Adding one unit of the exponent to the magnitude carries
 * into the sign bit exactly then; for 16-bit numbers one 32-bit addition does that for two at once, without a carry from
 * the lower to the upper. The carries of many are OR-ed together, and only where there is one are they searched.
 */
public final class Finite {
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int MAGNITUDE = 0x7fffffff;
    private static final int UPPER_MAGNITUDE = 0x7fff0000;
    private static final int UNIT = 0x00800000;
    /** 16 KiB: half of the smallest first-level cache in use. */
    private static final int BLOCK = 4096;
    /** Numbers that a thread looks at before it asks for more. */
    private static final int PIECE = 1 << 22;

    private Finite() {}

    /** The index of the first number of {@code values[from .. to)} that is NaN or infinite, or -1. */
    public static int firstNot(float[] values, int from, int to) {
        return firstBeyond(values, from, to, Float.MAX_VALUE);
    }

    /** The index of the first number of {@code values[from .. to)} that is NaN or of a magnitude above {@code largest >= 0}, or -1. */
    public static int firstBeyond(float[] values, int from, int to, float largest) {
        int most = Float.floatToRawIntBits(largest);
        int carries = 0;
        for (int i = from; i < to; i++) {
            carries |= (Float.floatToRawIntBits(values[i]) & MAGNITUDE) + (MAGNITUDE - most);
        }
        for (int i = from; i < to && carries < 0; i++) {
            if ((Float.floatToRawIntBits(values[i]) & MAGNITUDE) > most) {
                return i;
            }
        }
        return -1;
    }

    /** The same for the first {@code count} floats of a segment, in the machine's byte order. */
    public static long firstNot(MemorySegment values, long count) {
        int carries = 0;
        for (long i = 0; i < count; i++) {
            carries |= (values.get(I32, i * Float.BYTES) & MAGNITUDE) + UNIT;
        }
        for (long i = 0; i < count && carries < 0; i++) {
            if ((values.get(I32, i * Float.BYTES) & MAGNITUDE) + UNIT < 0) {
                return i;
            }
        }
        return -1;
    }

    /** The row-major index of the first number of a matrix that is NaN or infinite, or -1. */
    public static long firstNot(Matrix matrix) {
        int sign = matrix.type() == DType.F32 ? 0x80000000 : 0x80008000;
        int unit =
                switch (matrix.type()) {
                    case F32 -> UNIT;
                    case BF16 -> 0x00800080;
                    default -> 0x04000400;
                };
        MemorySegment data = matrix.data();
        int[] block = new int[BLOCK];
        for (long at = 0; at < data.byteSize(); at += BLOCK * Integer.BYTES) {
            long end = Math.min(at + BLOCK * Integer.BYTES, data.byteSize());
            int n = (int) ((end - at) / Integer.BYTES);
            MemorySegment.copy(data, LittleEndian.I32, at, block, 0, n);
            // An odd number of 16-bit numbers leaves one over, which is looked at whatever the others are.
            boolean whole = (end - at) % Integer.BYTES == 0;
            long bad = whole && (carries(block, n, ~sign, unit) & sign) == 0 ? -1 : search(matrix, at, end);
            if (bad >= 0) {
                return bad;
            }
        }
        return -1;
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
        float[] values = new float[(int) ((to - from) / width)];
        MemorySegment part = matrix.data().asSlice(from, to - from);
        Matrix.of(matrix.name(), matrix.type(), 1, values.length, part).readRow(0, values, 0);
        int bad = firstNot(values, 0, values.length);
        return bad < 0 ? -1 : from / width + bad;
    }

    /**
     * The largest magnitude among the numbers of a matrix of F32 or BF16.
     *
     * @throws InvalidDataException naming row and column of the first number that is NaN or infinite
     */
    public static float requireLargest(Matrix matrix) {
        int wide = matrix.type() == DType.F32 ? MAGNITUDE : UPPER_MAGNITUDE;
        MemorySegment data = matrix.data();
        int[] block = new int[BLOCK];
        int most = 0;
        int lower = 0;
        for (long at = 0; at < data.byteSize(); at += BLOCK * Integer.BYTES) {
            int n = (int) Math.min(BLOCK, (data.byteSize() - at) / Integer.BYTES);
            MemorySegment.copy(data, LittleEndian.I32, at, block, 0, n);
            for (int i = 0; i < n; i++) {
                most = Math.max(most, block[i] & wide);
                lower = Math.max(lower, block[i] << Short.SIZE & UPPER_MAGNITUDE);
            }
        }
        if (matrix.type() != DType.F32) {
            boolean odd = data.byteSize() % Integer.BYTES != 0;
            int last =
                    odd ? data.get(LittleEndian.I16, data.byteSize() - Short.BYTES) << Short.SIZE & UPPER_MAGNITUDE : 0;
            most = Math.max(most, Math.max(lower, last));
        }
        float largest = Float.intBitsToFloat(most);
        if (!Float.isFinite(largest)) {
            require(matrix);
        }
        return largest;
    }

    /** @throws InvalidDataException naming row and column of the first number of the matrix that is NaN or infinite */
    public static void require(Matrix matrix) {
        refuse(matrix, firstNot(matrix));
    }

    /** The same on several threads: one alone reads far below the speed of memory. */
    public static void require(Matrix matrix, Parallel threads) {
        long columns = matrix.columns();
        int rows = Math.clamp(PIECE / columns, 1, Math.max(1, matrix.rows()));
        long[] bad = new long[Math.ceilDiv(matrix.rows(), rows)];
        threads.forEach(bad.length, piece -> {
            int first = piece * rows;
            long found = firstNot(matrix.slice(first, Math.min(rows, matrix.rows() - first)));
            bad[piece] = found < 0 ? -1 : first * columns + found;
        });
        refuse(matrix, Arrays.stream(bad).filter(at -> at >= 0).findFirst().orElse(-1));
    }

    private static void refuse(Matrix matrix, long bad) {
        if (bad >= 0) {
            float[] row = new float[matrix.columns()];
            matrix.readRow(bad / row.length, row, 0);
            int column = (int) (bad % row.length);
            throw new InvalidDataException(matrix.name() + " holds " + row[column] + " in row " + bad / row.length
                    + ", column " + column + "; only finite numbers can be used.");
        }
    }
}
