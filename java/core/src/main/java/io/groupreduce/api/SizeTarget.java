package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Matrix;

/**
 * How small the result must be, at most.
 *
 * @param ratio source size / compressed size; 0 when {@code size} is given
 * @param size the largest allowed size in {@code unit}; 0 when {@code ratio} is given
 * @param unit what is counted on both sides
 */
public record SizeTarget(double ratio, long size, SizeUnit unit) {
    public SizeTarget {
        if (size == 0 && !(ratio >= 1 && ratio < Double.POSITIVE_INFINITY)) {
            throw new InvalidOptionException("The ratio is " + ratio + "; it must be a number of at least 1.");
        }
        if (size < 0) {
            throw new InvalidOptionException("The size is " + size + "; it must be a positive number.");
        }
    }

    /** The stored bytes of the source divided by {@code ratio}. */
    public static SizeTarget ratio(double ratio) {
        return new SizeTarget(ratio, 0, SizeUnit.BYTES);
    }

    /** At most {@code size} stored bytes. */
    public static SizeTarget bytes(long size) {
        if (size <= 0) {
            throw new InvalidOptionException("The size is " + size + " bytes; it must be a positive number.");
        }
        return new SizeTarget(0, size, SizeUnit.BYTES);
    }

    /** N D / {@code ratio} stored numbers, whatever their codec: the unit of the paper's tables. */
    public static SizeTarget parameterRatio(double ratio) {
        return new SizeTarget(ratio, 0, SizeUnit.PARAMETERS);
    }

    /** The budget for one matrix, in {@link #unit}. */
    public long budget(Matrix matrix) {
        if (size > 0) {
            return size;
        }
        double source = unit == SizeUnit.BYTES ? matrix.storedBytes() : (double) matrix.rows() * matrix.columns();
        return (long) Math.floor(source / ratio);
    }
}
