package io.groupreduce.vector;

import io.groupreduce.EncodedMatrix;
import io.groupreduce.Matrix;
import io.groupreduce.backend.GroupPlan;
import java.util.List;

/**
 * Left factors, computed and stored.
 *
 * <pre>L_p[slot(i), j] = round(A_i P_b[:, j] * scale_b[j]),   j &lt; k_p</pre>
 *
 * <p>A task gathers a tile of a group's rows, multiplies it with the first k_p columns of its basis's projection and encodes
 * the result; rows of dense groups are encoded as they are. Bytes: 4 N D read, the stored left factors written. Never
 * materialised: an uncoded left factor beyond a tile.
 */
final class LeftEncoder {
    private static final int TILE_FLOATS = 1 << 18;

    private final Workers workers;
    private final Matrix matrix;
    private final PackedMatrix[] projections;
    private final int width;

    /** Packs the projections that the groups use. */
    LeftEncoder(Workers workers, Matrix matrix, Basis[] bases, List<GroupPlan> groups) {
        this.workers = workers;
        this.matrix = matrix;
        int[] ranks = new int[bases.length];
        int longest = 0;
        for (GroupPlan group : groups) {
            if (group.isLowRank()) {
                ranks[group.basis()] = Math.max(ranks[group.basis()], group.rank());
                longest = Math.max(longest, group.rank());
            }
        }
        projections = new PackedMatrix[bases.length];
        for (int b = 0; b < bases.length; b++) {
            if (ranks[b] > 0) {
                projections[b] =
                        PackedMatrix.ofTransposed(bases[b].projection(), matrix.columns(), ranks[b], bases[b].stride());
            }
        }
        width = Lanes.padColumns(longest);
    }

    void run(byte[] groupOf, List<GroupPlan> groups, List<float[]> columnScales, List<EncodedMatrix> left) {
        int columns = matrix.columns();
        int height = Lanes.tileRows(TILE_FLOATS, Math.max(width, columns));
        GroupTiles tiles = new GroupTiles(groupOf, groups.size(), height);
        float[][] rowScratch = new float[workers.count()][height * columns];
        float[][] productScratch = new float[workers.count()][height * width];
        workers.run(tiles.count(), (tile, worker) -> {
            int group = tiles.group(tile);
            GroupPlan plan = groups.get(group);
            if (plan.isZero() || plan.rank() == 0) {
                return;
            }
            int count = tiles.rows(tile);
            float[] rows = rowScratch[worker];
            RowGather.read(matrix, tiles.order(), tiles.first(tile), count, rows);
            EncodedMatrix target = left.get(group);
            if (plan.isDense()) {
                for (int i = 0; i < count; i++) {
                    target.encodeRow(tiles.slot(tile) + i, rows, i * columns);
                }
                return;
            }
            float[] products = productScratch[worker];
            int panels = Math.ceilDiv(plan.rank(), Lanes.NR);
            Gemm.multiply(rows, columns, count, columns, projections[plan.basis()], panels, products, width);
            float[] scales = columnScales.get(plan.basis());
            for (int i = 0; i < count; i++) {
                for (int j = 0; scales != null && j < plan.rank(); j++) {
                    products[i * width + j] *= scales[j];
                }
                target.encodeRow(tiles.slot(tile) + i, products, i * width);
            }
        });
    }
}
