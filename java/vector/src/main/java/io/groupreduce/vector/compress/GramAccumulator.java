package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.KC;
import static io.groupreduce.vector.kernel.Lanes.MR;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.MicroKernel;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.TriangularGram;
import io.groupreduce.vector.kernel.Workers;

/**
 * The weighted Gram matrix of some rows.
 *
 * <pre>G += sign * sum over rows i of w_i A_i^T A_i,   A_i: D numbers, G: D x D, upper triangle</pre>
 *
 * <p>Rows are gathered, scaled by sqrt(w_i) and packed, {@value #MAX_ROWS} at a time at most, into panels of NR columns;
 * every pair of panels gives one NR x NR block of G, and the same panel serves as left and as right operand. Products are
 * summed in single precision inside a block of KC rows and of one packing, and the packings in double.
 *
 * <p>Bytes of one packing of H rows: 4 H D read from A and written packed; each block of G reads two panels (8 H NR, from the
 * caches) for 2 H NR^2 operations and touches 8 NR^2 of G. Never materialised: the scaled matrix, the lower triangle, a Gram
 * matrix per thread.
 */
final class GramAccumulator {
    private static final int MAX_ROWS = 2048;
    private static final int MAX_FLOATS = 1 << 23;

    /** Rows that one task gathers and packs. */
    private static final int PACK_ROWS = 32;

    private final Workers workers;
    private final Matrix matrix;
    private final float[] weights;
    private final int columns;
    private final int edge;
    private final int height;
    private final float[][] panels;
    private final float[][] rowScratch;
    private final float[][] tileScratch;

    GramAccumulator(Workers workers, Matrix matrix, float[] weights) {
        this.workers = workers;
        this.matrix = matrix;
        this.weights = weights;
        columns = matrix.columns();
        edge = Math.ceilDiv(columns, NR);
        height = Math.min(Math.clamp(MAX_FLOATS / columns, KC, MAX_ROWS), matrix.rows());
        panels = new float[edge][height * NR + MR];
        rowScratch = new float[workers.count()][PACK_ROWS * columns];
        tileScratch = new float[workers.count()][Lanes.padRows(NR) * NR];
    }

    /** D. */
    int columns() {
        return columns;
    }

    /** Adds {@code sign} times the Gram matrix of rows {@code order[from .. to)}. */
    void add(TriangularGram gram, int[] order, int from, int to, double sign) {
        for (int first = from; first < to; first += height) {
            int start = first;
            int rows = Math.min(height, to - first);
            workers.run(
                    Math.ceilDiv(rows, PACK_ROWS),
                    (task, worker) -> pack(order, start, task * PACK_ROWS, rows, rowScratch[worker]));
            workers.run(edge * (edge + 1) / 2, (task, worker) -> {
                int across = (int) ((Math.sqrt(8.0 * task + 1) - 1) / 2);
                int above = task - across * (across + 1) / 2;
                multiply(above, across, rows, tileScratch[worker]);
                gram.add(above, across, tileScratch[worker], sign);
            });
        }
    }

    private void pack(int[] order, int start, int at, int rows, float[] scratch) {
        int count = Math.min(PACK_ROWS, rows - at);
        RowGather.read(matrix, order, start + at, count, scratch);
        for (int i = 0; i < count; i++) {
            float scale = (float) Math.sqrt(weights[order[start + at + i]]);
            for (int p = 0; p < edge; p++) {
                int width = Math.min(NR, columns - p * NR);
                Lanes.scale(scratch, i * columns + p * NR, width, scale, panels[p], (at + i) * NR);
            }
        }
    }

    private void multiply(int above, int across, int rows, float[] tile) {
        int blockRows = Math.min(NR, columns - above * NR);
        for (int k = 0; k < rows; k += KC) {
            int steps = Math.min(KC, rows - k);
            for (int i = 0; i < blockRows; i += MR) {
                MicroKernel.columns(steps, panels[above], k * NR + i, panels[across], k * NR, tile, i * NR, k > 0);
            }
        }
    }
}
