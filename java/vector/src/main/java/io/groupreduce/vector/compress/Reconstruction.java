package io.groupreduce.vector.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import java.util.Arrays;

/**
 * Rows of a compressed matrix, a tile of one group at a time.
 *
 * <pre>A^[i, :] = L_p[slot(i), :] R_b[0 : k_p, :],   tile: rows x D, k_p inner steps</pre>
 *
 * <p>Bytes a tile: the stored left rows once, the packed right factor (4 k_p D) from the caches. Never materialised: any other
 * row, a decoded left factor beyond the tile.
 */
final class Reconstruction {
    private final CompressedMatrix compressed;
    private final PackedMatrix[] right;
    private final int columns;
    private final int width;

    Reconstruction(CompressedMatrix compressed) {
        this.compressed = compressed;
        columns = compressed.columns();
        right = new PackedMatrix[compressed.bases()];
        int longest = 1;
        for (int b = 0; b < right.length; b++) {
            int rank = (int) compressed.right(b).rows();
            right[b] = PackedMatrix.of(compressed.decodedRight(b), rank, columns, columns);
            longest = Math.max(longest, rank);
        }
        width = longest;
    }

    /** Floats of scratch that {@link #tile} needs for {@code rows} rows. */
    int scratch(int rows) {
        return Lanes.padRows(rows) * width;
    }

    /**
     * Computes the rows of slots {@code slot .. slot + rows - 1} of a group.
     *
     * @param scratch room for {@link #scratch} floats
     * @param target padRows(rows) rows of {@code stride} numbers
     * @param stride at least D rounded up to whole panels
     */
    void tile(int group, int slot, int rows, float[] scratch, float[] target, int stride) {
        GroupPlan plan = compressed.groups().get(group);
        EncodedMatrix left = compressed.left(group);
        if (plan.isDense()) {
            for (int i = 0; i < rows; i++) {
                left.decodeRow(slot + i, target, i * stride);
            }
        } else if (plan.isZero() || plan.rank() == 0) {
            for (int i = 0; i < rows; i++) {
                Arrays.fill(target, i * stride, i * stride + columns, 0);
            }
        } else {
            int rank = plan.rank();
            for (int i = 0; i < rows; i++) {
                left.decodeRow(slot + i, scratch, i * rank);
            }
            PackedMatrix factor = right[plan.basis()];
            Gemm.multiply(scratch, rank, rows, rank, factor, factor.panels(), target, stride);
        }
    }
}
