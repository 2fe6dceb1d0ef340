package io.groupreduce.vector.compress;

import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Directions;
import io.groupreduce.vector.kernel.Projection;
import io.groupreduce.vector.kernel.Workers;
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
            byte[] groupOf,
            List<GroupPlan> groups,
            List<Directions> bases,
            List<EncodedMatrix> left) {
        Projection[] projections = bases.stream()
                .map(d -> new Projection(d.projection(), matrix.columns()))
                .toArray(Projection[]::new);
        float[][] errorWeights = bases.stream().map(Directions::errorWeights).toArray(float[][]::new);
        ProjectedTiles.Group[] wanted = groups.stream().map(LeftEncoder::wanted).toArray(ProjectedTiles.Group[]::new);
        ScaleKernel[][] kernels = new ScaleKernel[workers.count()][groups.size()];
        new ProjectedTiles(workers, matrix, projections, wanted)
                .run(groupOf, (group, order, first, slot, count, values, stride, worker) -> {
                    GroupPlan plan = groups.get(group);
                    float[] scales = plan.isLowRank() ? bases.get(plan.basis()).scales() : null;
                    float[] weights = plan.isLowRank() ? errorWeights[plan.basis()] : null;
                    EncodedMatrix target = left.get(group);
                    ScaleKernel kernel = kernels[worker][group];
                    if (kernel == null && target.scalesPerRow() == 1) {
                        kernel = new ScaleKernel(plan.profile(), weights);
                        kernels[worker][group] = kernel;
                    }
                    for (int i = 0; i < count; i++) {
                        for (int j = 0; scales != null && j < plan.rank(); j++) {
                            values[i * stride + j] *= scales[j];
                        }
                        if (kernel != null) {
                            kernel.encode(target, slot + i, values, i * stride);
                        } else {
                            target.encodeRow(slot + i, values, i * stride, weights);
                        }
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
