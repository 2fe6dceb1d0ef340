package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.vector.compress.GroupTiles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.RowGather;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The logits of the dense and of the compressed softmax in training, for a tile of rows of one group and NR hidden states.
 *
 * <pre>y = A H + a,   s = Yq z + b   (dense groups: s = A^ H + b; zero groups: s = b)</pre>
 *
 * <p>Bytes a tile: 4 rows D of A read once, packed states and coordinates from the caches. Never materialised: rows of the
 * compressed matrix, logits beyond a tile.
 */
final class LogitTiles {
    /** The most rows of a tile: enough to keep a panel of states busy, few enough for the gradient of a tile to stay near. */
    static final int ROWS = 16 * Lanes.MR;

    private final Matrix dense;
    private final float[] denseBias;
    private final CompressedMatrix compressed;
    private final float[] compressedBias;
    private final TrainedLeft left;
    private final GroupTiles tiles;

    /**
     * Logits with what {@code left} holds at the time.
     *
     * @param compressedBias length N, or {@code null} for none; may change between tiles
     */
    LogitTiles(CalibrationProblem problem, float[] compressedBias, TrainedLeft left, GroupTiles tiles) {
        dense = problem.dense();
        denseBias = problem.bias();
        compressed = problem.start();
        this.compressedBias = compressedBias;
        this.left = left;
        this.tiles = tiles;
    }

    /** Memory of one worker for the rows of a tile. */
    final class Rows {
        private final float[] original = new float[ROWS * dense.columns()];
        private final float[] factors = new float[ROWS * width() + Lanes.LANES];
        private int tile;
        private GroupPlan plan;

        /** Reads the rows of a tile of A, and those of the left factor as they would be stored. */
        void load(int tile) {
            this.tile = tile;
            plan = compressed.groups().get(tiles.group(tile));
            RowGather.read(dense, tiles.order(), tiles.first(tile), tiles.rows(tile), original);
            if (TrainedLeft.trained(plan)) {
                left.rounded(tile, factors);
            } else if (plan.isDense()) {
                for (int i = 0; i < tiles.rows(tile); i++) {
                    compressed
                            .left(tiles.group(tile))
                            .decodeRow((long) tiles.slot(tile) + i, factors, i * dense.columns());
                }
            }
        }

        /** The left rows of a trained group, k_p numbers each. */
        float[] factors() {
            return factors;
        }

        /** Writes the dense logits, rows x NR. */
        void teacher(CalibrationBatch batch, int panel, float[] target) {
            int columns = dense.columns();
            Gemm.panel(original, 0, columns, tiles.rows(tile), columns, batch.hidden(panel), target, 0, NR);
            addBias(denseBias, target);
        }

        /** Writes the compressed logits, rows x NR. */
        void student(CalibrationBatch batch, int panel, float[] target) {
            int rows = tiles.rows(tile);
            if (TrainedLeft.trained(plan)) {
                int rank = plan.rank();
                Gemm.panel(factors, 0, rank, rows, rank, batch.coordinates(plan.basis(), panel), target, 0, NR);
            } else if (plan.isDense()) {
                int columns = dense.columns();
                Gemm.panel(factors, 0, columns, rows, columns, batch.hidden(panel), target, 0, NR);
            } else {
                Arrays.fill(target, 0, rows * NR, 0);
            }
            addBias(compressedBias, target);
        }

        private void addBias(float[] bias, float[] target) {
            for (int i = 0; bias != null && i < tiles.rows(tile); i++) {
                FloatVector b = FloatVector.broadcast(FLOATS, bias[tiles.order()[tiles.first(tile) + i]]);
                for (int at = i * NR; at < i * NR + NR; at += LANES) {
                    FloatVector.fromArray(FLOATS, target, at).add(b).intoArray(target, at);
                }
            }
        }
    }

    /** The longest row of a group that is stored. */
    private int width() {
        int longest = 0;
        for (GroupPlan plan : compressed.groups()) {
            longest = Math.max(longest, plan.isDense() ? dense.columns() : plan.isLowRank() ? plan.rank() : 0);
        }
        return longest;
    }
}
