package io.groupreduce.compress;

import io.groupreduce.Codec;
import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import io.groupreduce.SizeUnit;

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
}
