package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.spi.Choice;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * What every row loses under every plan, N x P numbers, and the choice among the plans at a price.
 *
 * <pre>p(i) = argmin over p of distortion(i, p) + price * bytes_p</pre>
 *
 * <p>Rows lie in tiles of {@link #ROWS}, each plan's numbers of a tile side by side: a vector holds one plan's distortions of
 * as many rows, and a row never leaves its lane. Costs are counted from the cheapest plan, so that a large price rounds no
 * distortion away and overflows for no plan that could win. Distortions chosen are summed in double by plan, row by row within blocks
 * and block by block. Bytes: 4 N P read, N written. Never materialised: objectives.
 */
final class Distortions {
    /** Rows of a tile: whole panels. */
    static final int ROWS = Math.max(64, Lanes.NR);

    /** Tiles that one task scans. */
    private static final int TASK_TILES = 16;

    private final int rows;
    private final int plans;
    private final float[][] tiles;

    /** Makes room for {@code plans} numbers a row. */
    Distortions(int rows, int plans) {
        this.rows = rows;
        this.plans = plans;
        tiles = new float[Math.ceilDiv(rows, ROWS)][plans * ROWS];
    }

    int plans() {
        return plans;
    }

    int tiles() {
        return tiles.length;
    }

    /** Rows {@code tile * ROWS} and on: number r of plan p at {@code p * ROWS + r}. */
    float[] tile(int tile) {
        return tiles[tile];
    }

    /** See {@link io.groupreduce.spi.CompressionWorkspace#choose}. */
    Choice choose(Workers workers, double price, double[] bytes, byte[] groupOf) {
        int[] open = new int[plans];
        int count = 0;
        double least = Double.POSITIVE_INFINITY;
        for (int p = 0; p < plans; p++) {
            if (bytes[p] < Double.POSITIVE_INFINITY) {
                open[count++] = p;
                least = Math.min(least, bytes[p]);
            }
        }
        int[] candidates = Arrays.copyOf(open, count);
        float[] costs = new float[count];
        for (int c = 0; c < count; c++) {
            costs[c] = (float) (price * (bytes[candidates[c]] - least));
        }
        double[][] sums = new double[Math.ceilDiv(tiles.length, TASK_TILES)][plans];
        long[][] chosen = new long[workers.count()][plans];
        float[][] losses = new float[workers.count()][ROWS];
        float[][] numbers = new float[workers.count()][ROWS];
        workers.run(sums.length, (task, worker) -> {
            int end = Math.min(tiles.length, (task + 1) * TASK_TILES);
            double[] sum = sums[task];
            for (int tile = task * TASK_TILES; tile < end; tile++) {
                for (int r = 0; r < ROWS; r += LANES) {
                    scan(tiles[tile], r, candidates, costs, losses[worker], numbers[worker]);
                }
                int first = tile * ROWS;
                int used = Math.min(ROWS, rows - first);
                for (int r = 0; r < used; r++) {
                    int plan = (int) numbers[worker][r];
                    groupOf[first + r] = (byte) plan;
                    chosen[worker][plan]++;
                    sum[plan] += losses[worker][r];
                }
            }
        });
        long[] total = new long[plans];
        for (long[] part : chosen) {
            for (int p = 0; p < plans; p++) {
                total[p] += part[p];
            }
        }
        double[] distortions = new double[plans];
        for (double[] part : sums) {
            for (int p = 0; p < plans; p++) {
                distortions[p] += part[p];
            }
        }
        return new Choice(distortions, total);
    }

    /** The best of the candidates for LANES rows: its distortion and, as a float, its number. */
    private static void scan(float[] tile, int r, int[] candidates, float[] costs, float[] losses, float[] numbers) {
        FloatVector loss = FloatVector.fromArray(FLOATS, tile, candidates[0] * ROWS + r);
        FloatVector objective = loss.add(costs[0]);
        FloatVector number = FloatVector.broadcast(FLOATS, candidates[0]);
        for (int c = 1; c < costs.length; c++) {
            FloatVector other = FloatVector.fromArray(FLOATS, tile, candidates[c] * ROWS + r);
            FloatVector otherObjective = other.add(costs[c]);
            VectorMask<Float> less = otherObjective.lt(objective);
            objective = objective.blend(otherObjective, less);
            loss = loss.blend(other, less);
            number = number.blend(FloatVector.broadcast(FLOATS, candidates[c]), less);
        }
        loss.intoArray(losses, r);
        number.intoArray(numbers, r);
    }
}
