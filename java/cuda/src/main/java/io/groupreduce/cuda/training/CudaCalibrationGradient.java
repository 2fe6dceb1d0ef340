package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.compress.DeviceMatrix;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;

/**
 * The second pass of a calibration step: gradients, and at once the step of the left rows and the bias of a tile; then
 * that of the right factors.
 *
 * <pre>G = (q - p) / B,   dL_s = G_s^T Z_b,   dZ_b += G_s L_s,   dbias = G^T 1,   and at the end dR_b = dZ_b^T H</pre>
 *
 * <p>Products are cuBLAS's in binary32, added up tile by tile in order. Bytes: a tile of A and its left rows once more,
 * logits of a tile, 28 a trained number. Never materialised: p or q, G beyond a tile, the gradient of left rows beyond
 * a tile.
 */
final class CudaCalibrationGradient {
    private static final int THREADS = 128;

    /** {@code GR_PAIR_STATES} of {@code training.h}. */
    private static final int STATES_OF_BLOCK = 8;

    private final Device device;
    private final Cublas blas;
    private final CudaLogitTiles pair;
    private final VocabularyTiles tiles;
    private final StoredFactors stored;
    private final RightFactors right;
    private final CudaTrainedBias bias;
    private final DeviceMemory leftGradient;
    private final DeviceMemory rightGradient;
    private final Kernel gradient;
    private final Parameters parameters = new Parameters(128);

    /**
     * Takes memory for gradients.
     *
     * @param bias {@code null} when none is trained
     * @throws OutOfDeviceMemoryException if there is no room
     */
    CudaCalibrationGradient(
            Owned owned,
            Cublas blas,
            CudaLogitTiles pair,
            StoredFactors stored,
            RightFactors right,
            CudaTrainedBias bias) {
        device = owned.device();
        this.blas = blas;
        this.pair = pair;
        this.stored = stored;
        this.right = right;
        this.bias = bias;
        tiles = pair.tiles();
        gradient = device.kernel("gr_pair_gradient");
        leftGradient =
                owned.allocate(4L * tiles.tileRows() * tiles.widest(), "the gradient of the left rows of a tile");
        rightGradient = owned.allocate(4L * right.rows() * right.columns(), "the gradient of the right factors");
    }

    /**
     * Moves everything that is trained by one step, against the gradient on a batch whose softmaxes are complete.
     *
     * @param matrix A, in chunks of one tile
     */
    void run(DeviceMatrix matrix, CudaCalibrationBatch batch, CudaAdamStep step) {
        batch.clearGradients();
        matrix.forEach((values, first, count) -> tile(tiles.tileAt(first), values, batch, step));
        moveRight(batch, step);
    }

    private void tile(int tile, long values, CudaCalibrationBatch batch, CudaAdamStep step) {
        pair.forEachPart(tile, values, batch, (first, states) -> {
            takeGradient(tile, batch, first, states);
            for (int section = 0; section < right.bases(); section++) {
                if (tiles.size(tile, section) > 0) {
                    addToLeft(tile, section, batch, first, states);
                    addToCoordinates(tile, section, batch, first, states);
                }
            }
            if (bias != null) {
                bias.add(pair, tile, first, states, first + states == batch.count(), step);
            }
        });
        for (int section = 0; section < right.bases(); section++) {
            stored.train(pair.rows(tile, section), leftGradient(tile, section), tiles.width(section), step, false);
        }
    }

    /** Puts the gradient by the compressed logits in their place. */
    private void takeGradient(int tile, CudaCalibrationBatch batch, int firstState, int states) {
        Parameters all = pair.tile(parameters.reset(), tile, states)
                .address(batch.running(firstState))
                .f32(1f / batch.count());
        int blocks = Math.ceilDiv(tiles.count(tile), THREADS);
        gradient.launch(device.stream(), blocks, Math.ceilDiv(states, STATES_OF_BLOCK), THREADS, 0, all);
    }

    private long leftGradient(int tile, int section) {
        return leftGradient.address() + 4L * pair.numbersBefore(tile, section);
    }

    /** In columns: dL^T, k x rows, is Z^T, k x states, times G^T, states x rows. */
    private void addToLeft(int tile, int section, CudaCalibrationBatch batch, int firstState, int states) {
        int width = tiles.width(section);
        blas.sgemm(
                width,
                tiles.size(tile, section),
                states,
                1,
                Operand.of(batch.coordinates(section, firstState), right.rank(section)),
                Operand.transposed(pair.compressedLogits(tile, section), pair.stride()),
                firstState == 0 ? 0 : 1,
                Operand.of(leftGradient(tile, section), width));
    }

    /** In columns: dZ^T, k x states, is L^T, k x rows, times G, rows x states. */
    private void addToCoordinates(int tile, int section, CudaCalibrationBatch batch, int firstState, int states) {
        int width = tiles.width(section);
        blas.sgemm(
                width,
                states,
                tiles.size(tile, section),
                1,
                Operand.of(pair.left(tile, section), width),
                Operand.of(pair.compressedLogits(tile, section), pair.stride()),
                1,
                Operand.of(batch.gradients(section, firstState), right.rank(section)));
    }

    /** In columns: dR^T, D x k, is H^T, D x B, times dZ, B x k. */
    private void moveRight(CudaCalibrationBatch batch, CudaAdamStep step) {
        int columns = right.columns();
        for (int b = 0; b < right.bases(); b++) {
            if (right.rank(b) == 0) {
                continue;
            }
            long target = rightGradient.address() + 4L * right.firstRow(b) * columns;
            blas.sgemm(
                    columns,
                    right.rank(b),
                    batch.count(),
                    1,
                    Operand.of(batch.hidden(0), columns),
                    Operand.transposed(batch.gradients(b, 0), right.rank(b)),
                    0,
                    Operand.of(target, columns));
            stored.train(stored.right(b), target, columns, step, true);
        }
        right.refresh();
    }
}
