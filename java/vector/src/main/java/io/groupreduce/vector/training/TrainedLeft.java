package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.compress.GroupTiles;
import io.groupreduce.vector.kernel.Workers;

/**
 * The left rows that are trained: full-precision numbers, what Adam remembers of them, and the stored scales at which they are
 * rounded, in arrays a tile each.
 *
 * <pre>Yq = nearest value(Y / scale) scale,   a tile: rows x k_p</pre>
 *
 * <p>Bytes: 12 a number. Never materialised: a rounded row beyond a tile, a gradient.
 */
final class TrainedLeft {
    private final CompressedMatrix start;
    private final GroupTiles tiles;
    private final float[][] values;
    private final float[][] first;
    private final float[][] second;
    private final float[][] sizes;
    private final float[][] scales;
    private final NearestValues[] nearest;

    TrainedLeft(Workers workers, CompressedMatrix start, GroupTiles tiles) {
        this.start = start;
        this.tiles = tiles;
        values = new float[tiles.count()][];
        first = new float[tiles.count()][];
        second = new float[tiles.count()][];
        sizes = new float[tiles.count()][];
        scales = new float[tiles.count()][];
        nearest = new NearestValues[start.groups().size()];
        for (int g = 0; g < nearest.length; g++) {
            GroupPlan plan = start.groups().get(g);
            nearest[g] = trained(plan) && plan.profile().scaled() ? new NearestValues(plan.profile()) : null;
        }
        workers.run(tiles.count(), (tile, worker) -> {
            if (trained(start.groups().get(tiles.group(tile)))) {
                load(tile);
            }
        });
    }

    /** Whether rows of a group are products of factors, and not stored as they are or empty. */
    static boolean trained(GroupPlan plan) {
        return plan.isLowRank() && plan.rank() > 0;
    }

    private EncodedMatrix stored(int tile) {
        return start.left(tiles.group(tile));
    }

    private void load(int tile) {
        EncodedMatrix stored = stored(tile);
        int rank = stored.width();
        int rows = tiles.rows(tile);
        int perRow = stored.scalesPerRow();
        values[tile] = new float[rows * rank + LANES];
        first[tile] = new float[rows * rank];
        second[tile] = new float[rows * rank];
        sizes[tile] = new float[rows];
        scales[tile] = new float[rows * perRow];
        for (int i = 0; i < rows; i++) {
            long row = (long) tiles.slot(tile) + i;
            stored.decodeRow(row, values[tile], i * rank);
            sizes[tile][i] = AdamStep.size(values[tile], i * rank, rank);
            for (int s = 0; s < perRow; s++) {
                scales[tile][i * perRow + s] = stored.scale(row, s);
            }
        }
    }

    /** Writes the tile as it would be stored and read back, rows one after the other, and up to LANES numbers behind them. */
    void rounded(int tile, float[] target) {
        EncodedMatrix stored = stored(tile);
        float[] source = values[tile];
        switch (stored.profile().most()) {
            case Float.SIZE -> System.arraycopy(source, 0, target, 0, tiles.rows(tile) * stored.width());
            case Short.SIZE -> {
                for (int j = 0; j < tiles.rows(tile) * stored.width(); j++) {
                    target[j] = Bf16.widen(Bf16.round(source[j]));
                }
            }
            default -> {
                int rank = stored.width();
                int perRow = stored.scalesPerRow();
                for (int i = 0; i < tiles.rows(tile); i++) {
                    for (int s = 0; s < perRow; s++) {
                        int from = s * stored.block();
                        int count = Math.min(stored.block(), rank - from);
                        float scale = scales[tile][i * perRow + s];
                        nearest[tiles.group(tile)].round(source, i * rank + from, from, count, scale, target);
                    }
                }
            }
        }
    }

    /** Moves the rows of a tile; rows of {@code gradient} are {@code stride} apart. */
    void update(int tile, float[] gradient, int stride, AdamStep step) {
        int rank = stored(tile).width();
        for (int i = 0; i < tiles.rows(tile); i++) {
            step.apply(values[tile], first[tile], second[tile], i * rank, rank, gradient, i * stride, sizes[tile][i]);
        }
    }

    /** Stores the rows of a tile in a matrix that holds the scales already. */
    void store(int tile, EncodedMatrix target) {
        int rank = target.width();
        for (int i = 0; i < tiles.rows(tile); i++) {
            target.requantizeRow((long) tiles.slot(tile) + i, values[tile], i * rank);
        }
    }
}
