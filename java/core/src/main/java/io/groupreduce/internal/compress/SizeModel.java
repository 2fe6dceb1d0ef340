package io.groupreduce.internal.compress;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;

/**
 * What plans and bases cost, in the unit of the size target, and the memory that they are stored in. Every stored byte is counted,
 * so a file that meets the target by this model meets it on disk.
 *
 * @param matrix what messages call the matrix
 * @param unit bytes or parameters
 * @param columns D
 * @param right codec of right factors
 * @param scales which scales integers get
 */
public record SizeModel(String matrix, SizeUnit unit, int columns, Codec right, ScaleScheme scales) {
    /**
     * Numbers that share a scale in a dense row of {@code columns} numbers. Dense rows are long: one scale for all of D
     * numbers would be too coarse for the 15 levels of INT4 or the 7 of INT3.
     */
    public static int denseBlock(Codec codec, int columns) {
        return codec == Codec.INT4 || codec == Codec.INT3 ? CompressedMatrix.SCALE_BLOCK : columns;
    }

    private static int block(GroupPlan plan) {
        return plan.isDense() ? denseBlock(plan.codec(), plan.rank()) : plan.rank();
    }

    private ScaleFormat rowScales(GroupPlan plan) {
        return plan.isDense() ? ScaleScheme.WIDE : scales.left;
    }

    private int rightBlock() {
        return scales == ScaleScheme.COMPACT ? CompressedMatrix.SCALE_BLOCK : columns;
    }

    /** What does not depend on the choice: a group number a row and a basis number a group. */
    long fixed(long rows, long groups) {
        return unit == SizeUnit.PARAMETERS ? 0 : rows + groups;
    }

    /** What a row costs under a plan. */
    long row(GroupPlan plan) {
        if (unit == SizeUnit.PARAMETERS) {
            return plan.rank();
        }
        return plan.isZero()
                ? 0
                : EncodedMatrix.storedBytes(plan.codec(), 1, plan.rank(), block(plan), rowScales(plan));
    }

    /** What a right factor of {@code rank} directions costs. */
    long right(int rank) {
        return unit == SizeUnit.PARAMETERS
                ? (long) rank * columns
                : EncodedMatrix.storedBytes(right, rank, columns, rightBlock(), ScaleScheme.WIDE);
    }

    /** Room for the rows of a plan; {@code null} for zeros. */
    EncodedMatrix allocateRows(Arena arena, GroupPlan plan, long rows) {
        return plan.isZero()
                ? null
                : EncodedMatrix.allocate(arena, plan.codec(), rows, plan.rank(), block(plan), rowScales(plan));
    }

    /**
     * A stored right factor.
     *
     * @param values at least rank x D, row-major
     */
    EncodedMatrix storeRight(Arena arena, float[] values, int rank) {
        EncodedMatrix stored = EncodedMatrix.allocate(arena, right, rank, columns, rightBlock(), ScaleScheme.WIDE);
        for (int k = 0; k < rank; k++) {
            if (scales == ScaleScheme.COMPACT) {
                stored.encodeRow(k, values, k * columns, null);
            } else {
                stored.encodeRow(k, values, k * columns);
            }
        }
        return stored;
    }

    /** A size with no room for a single direction. */
    UnreachableTargetException noRoom(long budget, long smallest) {
        String word = unit == SizeUnit.BYTES ? " bytes" : " parameters";
        return new UnreachableTargetException(
                matrix + ": The size target of " + budget + word
                        + " leaves no room for a single direction; the smallest possible is " + smallest + word
                        + ", so ask for a larger size or a smaller ratio.",
                smallest);
    }
}
