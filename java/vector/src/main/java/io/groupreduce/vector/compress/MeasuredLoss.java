package io.groupreduce.vector.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.Loss;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * The loss of stored factors.
 *
 * <pre>
 * weighted = sum over i of w_i ||(A_i - A^_i) S||^2
 * counted  = sum over i of v_i ||A_i - A^_i||^2,   countedEnergy = sum over i of v_i ||A_i||^2
 * </pre>
 *
 * <p>A task reconstructs a tile of a group's rows, subtracts the originals, sums what is counted and applies S. Squares are summed in single
 * precision within a row, in double over rows, tile by tile in a fixed order. Bytes: 4 N D and the stored factors read. Never
 * materialised: A^ or the difference beyond a tile.
 */
final class MeasuredLoss {
    private static final int TILE_FLOATS = 1 << 17;

    private MeasuredLoss() {}

    static Loss of(Workers workers, CompressionProblem problem, PackedMatrix root, CompressedMatrix approximation) {
        Matrix matrix = problem.matrix();
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
        double[] weighted = new double[tiles.count()];
        double[] counted = new double[tiles.count()];
        double[] energies = new double[tiles.count()];
        workers.run(tiles.count(), (tile, worker) -> {
            int count = tiles.rows(tile);
            float[] error = difference[worker];
            reconstruction.tile(tiles.group(tile), tiles.slot(tile), count, factors[worker], error, stride);
            RowGather.read(matrix, tiles.order(), tiles.first(tile), count, original[worker]);
            for (int i = 0; i < count; i++) {
                for (int j = 0; j < columns; j++) {
                    error[i * stride + j] = original[worker][i * columns + j] - error[i * stride + j];
                }
            }
            for (int i = 0; i < count; i++) {
                int row = tiles.order()[tiles.first(tile) + i];
                double weight = problem.countWeights()[row];
                counted[tile] += weight * Lanes.squares(error, i * stride, columns, lanes[worker]);
                energies[tile] += weight * Lanes.squares(original[worker], i * columns, columns, lanes[worker]);
            }
            if (root != null) {
                Gemm.multiply(error, stride, count, columns, root, root.panels(), product[worker], stride);
                error = product[worker];
            }
            for (int i = 0; i < count; i++) {
                double weight = problem.weights()[tiles.order()[tiles.first(tile) + i]];
                weighted[tile] += weight * Lanes.squares(error, i * stride, columns, lanes[worker]);
            }
        });
        return new Loss(sum(weighted), sum(counted), sum(energies));
    }

    /** In order. */
    private static double sum(double[] tiles) {
        return Arrays.stream(tiles).reduce(0, Double::sum);
    }
}
