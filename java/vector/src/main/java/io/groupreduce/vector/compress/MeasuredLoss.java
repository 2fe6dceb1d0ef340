package io.groupreduce.vector.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * The loss of stored factors.
 *
 * <pre>sum over i of w_i ||(A_i - A^_i) S||^2</pre>
 *
 * <p>A task reconstructs a tile of a group's rows, subtracts the originals and applies S. Squares are summed in single
 * precision within a row, in double over rows, tile by tile in a fixed order. Bytes: 4 N D and the stored factors read. Never
 * materialised: A^ or the difference beyond a tile.
 */
final class MeasuredLoss {
    private static final int TILE_FLOATS = 1 << 17;

    private MeasuredLoss() {}

    static double of(
            Workers workers, Matrix matrix, float[] weights, PackedMatrix root, CompressedMatrix approximation) {
        int columns = matrix.columns();
        int stride = Lanes.padColumns(columns);
        int height = Lanes.tileRows(TILE_FLOATS, columns);
        Reconstruction reconstruction = new Reconstruction(approximation);
        GroupTiles tiles =
                new GroupTiles(approximation.groupOf(), approximation.groups().size(), height);
        float[][] original = new float[workers.count()][height * columns];
        float[][] difference = new float[workers.count()][height * stride];
        float[][] product = new float[root == null ? 0 : workers.count()][height * stride];
        float[][] factors = new float[workers.count()][reconstruction.scratch(height)];
        float[][] lanes = new float[workers.count()][Lanes.LANES];
        double[] losses = new double[tiles.count()];
        workers.run(losses.length, (tile, worker) -> {
            int count = tiles.rows(tile);
            float[] error = difference[worker];
            reconstruction.tile(tiles.group(tile), tiles.slot(tile), count, factors[worker], error, stride);
            RowGather.read(matrix, tiles.order(), tiles.first(tile), count, original[worker]);
            for (int i = 0; i < count; i++) {
                for (int j = 0; j < columns; j++) {
                    error[i * stride + j] = original[worker][i * columns + j] - error[i * stride + j];
                }
            }
            if (root != null) {
                Gemm.multiply(error, stride, count, columns, root, root.panels(), product[worker], stride);
                error = product[worker];
            }
            double sum = 0;
            for (int i = 0; i < count; i++) {
                double weight = weights[tiles.order()[tiles.first(tile) + i]];
                sum += weight * Lanes.squares(error, i * stride, columns, lanes[worker]);
            }
            losses[tile] = sum;
        });
        return Arrays.stream(losses).reduce(0, Double::sum);
    }
}
