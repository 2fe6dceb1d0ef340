package io.groupreduce.cli.report;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;

/**
 * Where the bytes of a compressed matrix are; the parts add up to {@link CompressedMatrix#bytes()}. Read off sizes
 * alone, so that it works after the factors' memory is gone.
 *
 * @param left numbers of the left factors, scales not counted; of a packed matrix all of its rows
 * @param right numbers of the right factors, scales not counted; of a packed matrix all of it
 * @param dense rows stored as they are, scales not counted
 * @param scales the scales of all of them
 * @param numbers the group number of each row, the share of the header and the bias if there is one
 */
record StoredBytes(long left, long right, long dense, long scales, long numbers) {
    static StoredBytes of(CompressedMatrix matrix) {
        if (matrix.packed() != null) {
            long rows = matrix.packed().rows().byteSize();
            long packedRight = matrix.packed().right().byteSize();
            return new StoredBytes(rows, packedRight, 0, 0, matrix.bytes() - rows - packedRight);
        }
        long left = 0;
        long right = 0;
        long dense = 0;
        long scales = 0;
        for (int g = 0; g < matrix.groups().size(); g++) {
            GroupPlan plan = matrix.groups().get(g);
            EncodedMatrix part = matrix.left(g);
            if (part == null) {
                continue;
            }
            scales += scales(part);
            if (plan.isDense()) {
                dense += part.bytes() - scales(part);
            } else {
                left += part.bytes() - scales(part);
            }
        }
        for (int b = 0; b < matrix.bases(); b++) {
            EncodedMatrix part = matrix.right(b);
            scales += scales(part);
            right += part.bytes() - scales(part);
        }
        return new StoredBytes(left, right, dense, scales, matrix.bytes() - left - right - dense - scales);
    }

    private static long scales(EncodedMatrix part) {
        return part.rows() * part.scalesPerRow() * part.scaleFormat().bytes();
    }

    long total() {
        return left + right + dense + scales + numbers;
    }
}
