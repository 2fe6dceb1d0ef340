package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.DeviceMatrix;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Training of a compressed softmax on the card, tile by tile of the vocabulary.
 *
 * <pre>1  z = R h                                           (GEMM)
 * 2  log sum exp of both heads and KL, tile by tile    (first pass: GEMMs, gr_pair_softmax)
 * 3  logits again, gradients, step of left rows, bias  (second pass: {@link CudaCalibrationGradient})
 * 4  dR = dz^T h, step of R                            (GEMM, gr_training_move)</pre>
 *
 * <p>On the card for good: the stored factors, 12 bytes a trained number, the decoded right factors, and A as it is
 * stored where it fits; else A is streamed from the host twice a step. All of it is taken before the first step. Never
 * materialised: anything N x B.
 */
public final class CudaCalibration implements CalibrationSession {
    /** Hidden states that a measurement takes together: A is read once for all of them. */
    private static final int MOST_STATES = 2048;

    private final Device device;
    private final Cublas blas;
    private final int columns;
    private final Owned owned;
    private final StoredFactors stored;
    private final Tiled tiled;
    private final CudaCalibrationBatch batch;
    private int steps;

    /**
     * Takes up a compressed softmax to train. To be called on the device's thread; any thread may call the methods.
     *
     * @throws OutOfDeviceMemoryException if the card has not enough room, even for small tiles
     */
    public CudaCalibration(Device device, Cublas blas, CalibrationProblem problem) {
        this(device, blas, problem, VocabularyTiles.ROWS);
    }

    /** The same with at most so many rows a tile. */
    CudaCalibration(Device device, Cublas blas, CalibrationProblem problem, int tileRows) {
        this.device = device;
        this.blas = blas;
        columns = problem.start().columns();
        owned = new Owned(device);
        try {
            stored = new StoredFactors(owned, problem.start(), true);
            RightFactors right = new RightFactors(owned, problem.start(), stored);
            batch = new CudaCalibrationBatch(owned, right, MOST_STATES, true);
            tiled = VocabularyTiles.fitting(
                    owned, tileRows, (taken, rows) -> new Tiled(taken, blas, problem, stored, right, rows));
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    /** What depends on the size of a tile. */
    private static final class Tiled {
        final CudaTrainedBias bias;
        final CudaLogitTiles pair;
        final CudaCalibrationGradient step;
        final DeviceMatrix matrix;

        Tiled(
                Owned owned,
                Cublas blas,
                CalibrationProblem problem,
                StoredFactors stored,
                RightFactors right,
                int rows) {
            CompressedMatrix start = problem.start();
            VocabularyTiles tiles = new VocabularyTiles(start, rows);
            long denseBias = problem.bias() == null
                    ? 0
                    : owned.copy(MemorySegment.ofArray(problem.bias()), "the bias of the dense softmax")
                            .address();
            bias = problem.trainBias()
                    ? new CudaTrainedBias(owned, problem.bias(), start.rows(), tiles.tileRows())
                    : null;
            long ownBias = bias == null ? denseBias : bias.address();
            pair = new CudaLogitTiles(owned, blas, stored, tiles, start.columns(), denseBias, ownBias);
            step = new CudaCalibrationGradient(owned, blas, pair, stored, right, bias);
            // Last, because it stays on the card only if everything else has found room.
            matrix = new DeviceMatrix(owned, problem.dense(), tiles.tileRows());
        }
    }

    @Override
    public double loss(float[] hidden, int count) {
        return device.call(() -> {
            double total = 0;
            for (int first = 0; first < count; first += MOST_STATES) {
                int states = Math.min(MOST_STATES, count - first);
                load(hidden, first, states);
                forward();
                total += totalKl();
            }
            return total / count;
        });
    }

    @Override
    public double step(float[] hidden, int count, double rate) {
        return device.call(() -> {
            load(hidden, 0, count);
            forward();
            tiled.step.run(tiled.matrix, batch, new CudaAdamStep(rate, ++steps));
            return totalKl() / count;
        });
    }

    private void load(float[] hidden, int first, int states) {
        MemorySegment values = MemorySegment.ofArray(hidden).asSlice(4L * first * columns, 4L * states * columns);
        batch.load(blas, values, states);
    }

    /** The first pass. */
    private void forward() {
        tiled.matrix.forEach((values, row, rows) -> {
            int tile = tiled.pair.tiles().tileAt(row);
            tiled.pair.forEachPart(
                    tile,
                    values,
                    batch,
                    (first, states) ->
                            tiled.pair.addToSoftmax(tile, batch, first, states, CudaLogitTiles.Targets.NONE));
        });
    }

    /** The sum of KL over the states of the batch; waits for the card. */
    private double totalKl() {
        CudaCalibrationBatch.Softmaxes found = batch.softmaxes();
        double total = 0;
        for (int state = 0; state < batch.count(); state++) {
            total += found.kl(state);
        }
        return total;
    }

    @Override
    public CompressedMatrix snapshot(Arena arena) {
        return device.call(() -> {
            CompressedMatrix now = stored.snapshot(arena);
            return tiled.bias == null ? now : now.withBias(tiled.bias.read());
        });
    }

    /** Frees all memory on the card after the work queued there; calling it again does nothing. */
    @Override
    public void close() {
        owned.close();
    }
}
