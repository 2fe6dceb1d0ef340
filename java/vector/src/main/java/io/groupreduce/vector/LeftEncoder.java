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
 * <p>Tiles of coordinates come from {@link ProjectedTiles} and are encoded where they are; rows of dense groups are encoded as
 * they are. Bytes: 4 N D read, the stored left factors written. Never materialised: an uncoded left factor beyond a tile.
 */
final class LeftEncoder {
    private LeftEncoder() {}

    static void run(
            Workers workers,
            Matrix matrix,
            Basis[] bases,
            byte[] groupOf,
            List<GroupPlan> groups,
            List<float[]> columnScales,
            List<EncodedMatrix> left) {
        ProjectedTiles.Group[] wanted = groups.stream().map(LeftEncoder::wanted).toArray(ProjectedTiles.Group[]::new);
        new ProjectedTiles(workers, matrix, bases, wanted)
                .run(groupOf, (group, order, first, slot, count, values, stride, worker) -> {
                    GroupPlan plan = groups.get(group);
                    float[] scales = plan.isLowRank() ? columnScales.get(plan.basis()) : null;
                    EncodedMatrix target = left.get(group);
                    for (int i = 0; i < count; i++) {
                        for (int j = 0; scales != null && j < plan.rank(); j++) {
                            values[i * stride + j] *= scales[j];
                        }
                        target.encodeRow(slot + i, values, i * stride);
                    }
                });
    }

    private static ProjectedTiles.Group wanted(GroupPlan plan) {
        if (plan.isDense()) {
            return ProjectedTiles.Group.ROWS;
        }
        return plan.isZero() || plan.rank() == 0
                ? ProjectedTiles.Group.NONE
                : new ProjectedTiles.Group(ProjectedTiles.Kind.COORDINATES, plan.basis(), plan.rank());
    }
}
