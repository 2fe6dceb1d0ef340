package io.groupreduce.vector.compress;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;

/**
 * The energy of every row under the metric.
 *
 * <pre>e_i = ||A_i S||^2,   A_i: D numbers, S: D x D or the identity</pre>
 *
 * <p>One pass over A in tiles: 4 N D bytes read, 4 N written, S from the caches. Never materialised: A S beyond a tile.
 */
final class RowEnergies {
    private static final int TILE_FLOATS = 1 << 17;

    private RowEnergies() {}

    /** One float a row. */
    static float[] of(Workers workers, Matrix matrix, PackedMatrix root) {
        int columns = matrix.columns();
        int height = Lanes.tileRows(TILE_FLOATS, columns);
        int stride = Lanes.padColumns(columns);
        float[][] tiles = new float[workers.count()][height * columns];
        float[][] products = new float[root == null ? 0 : workers.count()][height * stride];
        float[][] scratch = new float[workers.count()][Lanes.LANES];
        float[] energies = new float[matrix.rows()];
        workers.run(Math.ceilDiv(matrix.rows(), height), (task, worker) -> {
            int first = task * height;
            int rows = Math.min(height, matrix.rows() - first);
            matrix.readRows(first, rows, tiles[worker], 0);
            float[] source = tiles[worker];
            int step = columns;
            if (root != null) {
                Gemm.multiply(source, columns, rows, columns, root, root.panels(), products[worker], stride);
                source = products[worker];
                step = stride;
            }
            for (int i = 0; i < rows; i++) {
                energies[first + i] = Lanes.squares(source, i * step, columns, scratch[worker]);
            }
        });
        return energies;
    }
}
