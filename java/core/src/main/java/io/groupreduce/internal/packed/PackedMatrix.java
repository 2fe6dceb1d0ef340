package io.groupreduce.internal.packed;

import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.PackedParts;
import java.lang.foreign.Arena;
import java.util.List;

/**
 * A packed matrix as it is held once it is open: INT8 codes of one basis, rows of zeros.
 *
 * @param groupOf the group of every row
 * @param left per group its codes, one scale of one byte a row; {@code null} for rows of zeros
 * @param right the right factor, one bfloat16 scale a row; empty where all rows are zeros
 */
public record PackedMatrix(byte[] groupOf, List<EncodedMatrix> left, List<EncodedMatrix> right) {
    /** Numbers that are unpacked from however few bytes. */
    private static final long FEW = 1 << 24;

    /** What a byte holds of more numbers, at most: ten times what was ever seen. */
    private static final long MOST_A_BYTE = 1000;

    /** A small file must not take the machine's memory. */
    static void requireLikely(long numbers, long bytes) {
        if (numbers > Math.max(FEW, MOST_A_BYTE * bytes)) {
            throw new IllegalArgumentException(numbers + " numbers are packed into " + bytes + " bytes");
        }
    }

    /**
     * Unpacks a matrix.
     *
     * @param groups its groups
     * @param rank of its basis, 0 where there is none
     * @param arena owns the memory of the codes
     * @throws IllegalArgumentException if it was not packed like that; the message is a sentence without its end
     */
    public static PackedMatrix unpack(
            PackedParts parts, int rows, int columns, List<GroupPlan> groups, int rank, Arena arena) {
        for (GroupPlan group : groups) {
            boolean packable =
                    group.isZero() || group.basis() == 0 && group.profile().uniform() == CodeValues.MOST_BITS;
            if (!packable) {
                throw new IllegalArgumentException(
                        "packed rows are described as something else than codes of " + CodeValues.MOST_BITS + " bits");
            }
        }
        int[] ranks = groups.stream().mapToInt(GroupPlan::rank).toArray();
        PackedRows.Unpacked unpacked = PackedRows.unpack(parts.rows(), rows, rank, ranks, arena);
        EncodedMatrix right = PackedRight.unpack(parts.right(), rank, columns, unpacked.model(), arena);
        return new PackedMatrix(unpacked.groupOf(), unpacked.left(), rank == 0 ? List.of() : List.of(right));
    }
}
