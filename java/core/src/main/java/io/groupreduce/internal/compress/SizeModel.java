package io.groupreduce.internal.compress;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.HeaderShare;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.StoredPart;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * What plans and bases cost, in the unit of the size target, and the memory that they are stored in. Every stored byte is counted,
 * so a file that meets the target by this model meets it on disk.
 *
 * @param matrix what messages call the matrix
 * @param unit bytes or parameters
 * @param columns D
 * @param header bytes of the file's header that no choice changes
 * @param right codec of right factors
 * @param scales which scales integers get
 */
public record SizeModel(String matrix, SizeUnit unit, int columns, long header, Codec right, ScaleScheme scales) {
    private ScaleFormat rowScales(GroupPlan plan) {
        return plan.isDense() ? ScaleScheme.WIDE : scales.left;
    }

    /** The paper's methods give a row one scale wherever that will do. */
    private int block(GroupPlan plan) {
        boolean fine = plan.profile().most() >= Codec.INT8.bits();
        return scales == ScaleScheme.PLAIN && fine ? plan.rank() : plan.block();
    }

    private int rightBlock() {
        return scales == ScaleScheme.COMPACT ? CompressedMatrix.SCALE_BLOCK : columns;
    }

    /**
     * What does not depend on which row takes which plan: a group number a row, and the header, where each plan that is used is
     * described.
     */
    long fixed(long rows, List<GroupPlan> plans) {
        return fixed(rows, plans.stream().mapToLong(this::described).toArray());
    }

    /** The same, of plans whose {@link #described descriptions} are known. */
    long fixed(long rows, long[] described) {
        LongStream used = Arrays.stream(described).sorted().skip(Math.max(0, described.length - rows));
        return unit == SizeUnit.PARAMETERS ? 0 : rows + header + used.sum();
    }

    /** What describing a plan takes of the header. */
    long described(GroupPlan plan) {
        return HeaderShare.part(StoredPart.of(plan, block(plan), rowScales(plan)));
    }

    /** For that share of the rows, which pay only their part of the header. */
    SizeModel sample(double share) {
        return new SizeModel(matrix, unit, columns, (long) (header * share), right, scales);
    }

    /** With right factors in another codec. */
    SizeModel withRight(Codec codec) {
        return new SizeModel(matrix, unit, columns, header, codec, scales);
    }

    /** What a row costs under a plan. */
    long row(GroupPlan plan) {
        if (unit == SizeUnit.PARAMETERS) {
            return plan.rank();
        }
        return plan.isZero() ? 0 : EncodedMatrix.storedBytes(plan.profile(), 1, block(plan), rowScales(plan));
    }

    /** What a right factor of {@code rank} directions costs. */
    long right(int rank) {
        if (unit == SizeUnit.PARAMETERS || rank == 0) {
            return (long) rank * columns;
        }
        BitProfile profile = BitProfile.of(right, columns);
        StoredPart described = new StoredPart(Integer.toString(rank), profile, rightBlock(), ScaleScheme.WIDE);
        return HeaderShare.part(described) + EncodedMatrix.storedBytes(profile, rank, rightBlock(), ScaleScheme.WIDE);
    }

    /** Room for the rows of a plan; {@code null} for zeros. */
    EncodedMatrix allocateRows(Arena arena, GroupPlan plan, long rows) {
        return plan.isZero() ? null : EncodedMatrix.allocate(arena, plan.profile(), rows, block(plan), rowScales(plan));
    }

    /**
     * A stored right factor.
     *
     * @param values at least rank x D, row-major
     */
    EncodedMatrix storeRight(Arena arena, float[] values, int rank) {
        EncodedMatrix stored =
                EncodedMatrix.allocate(arena, BitProfile.of(right, columns), rank, rightBlock(), ScaleScheme.WIDE);
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
                matrix + ": The size target of " + budget + word + " leaves no room for a single direction"
                        + (unit == SizeUnit.BYTES ? " beside a header of the greatest length" : "")
                        + "; ask for at least " + smallest + word + ", or for a smaller ratio.",
                smallest);
    }
}
