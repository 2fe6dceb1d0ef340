package io.groupreduce.internal.compress;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;

/**
 * What a choice of ranks costs, in the unit of the size target. Every stored byte is counted, so a file that meets the target
 * by this model meets it on disk.
 *
 * @param unit bytes or parameters
 * @param columns D
 * @param left codec of left factors and dense rows
 * @param right codec of right factors
 */
public record SizeModel(SizeUnit unit, int columns, Codec left, Codec right) {
    /**
     * Numbers that share a scale in a dense row of {@code columns} numbers. Dense rows are long: one scale for all of D
     * numbers would be too coarse for the 15 levels of INT4 or the 7 of INT3.
     */
    public static int denseBlock(Codec codec, int columns) {
        return codec == Codec.INT4 || codec == Codec.INT3 ? CompressedMatrix.SCALE_BLOCK : columns;
    }

    /** What does not depend on the ranks: a group number a row and a basis number a group. */
    public long fixed(long rows, int groups) {
        return unit == SizeUnit.PARAMETERS ? 0 : rows + groups;
    }

    /** n rows at rank k, their left and right factors. */
    public long lowRank(long n, int k) {
        if (unit == SizeUnit.PARAMETERS) {
            return k * (n + columns);
        }
        return k == 0
                ? 0
                : EncodedMatrix.storedBytes(left, n, k, k) + EncodedMatrix.storedBytes(right, k, columns, columns);
    }

    /** n rows stored as they are. */
    public long dense(long n) {
        return unit == SizeUnit.PARAMETERS
                ? n * columns
                : EncodedMatrix.storedBytes(left, n, columns, denseBlock(left, columns));
    }

    /** n rows at rank k, or dense when k is {@link RankAllocation#DENSE}. */
    public long of(long n, int k) {
        return k == RankAllocation.DENSE ? dense(n) : lowRank(n, k);
    }

    /**
     * A size with no room for a single direction.
     *
     * @param where what the message begins with: the matrix, or nothing
     */
    static UnreachableTargetException noRoom(String where, long budget, SizeUnit unit, long smallest) {
        String word = unit == SizeUnit.BYTES ? " bytes" : " parameters";
        return new UnreachableTargetException(
                where + "The size target of " + budget + word
                        + " leaves no room for a single direction; the smallest possible is " + smallest + word
                        + ", so ask for a larger size or a smaller ratio.",
                smallest);
    }
}
