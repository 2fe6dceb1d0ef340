package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.DeviceMatrix;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The dense and the compressed softmax over the same hidden states, side by side on the card.
 *
 * <pre>x = A h + a,   y = L_p R_b h + b,   A: N x D, h: D, for each of T hidden states</pre>
 *
 * <p>Up to {@value #MOST_STATES} states go through the vocabulary together, tile by tile. A is kept on the card as it
 * is stored where it fits, else it is streamed from the host once for all of them. Never materialised: the T x N
 * logits, a row of A^.
 */
public final class CudaSoftmaxPair {
    /** Hidden states taken together: A is read once for each such block. */
    private static final int MOST_STATES = 2048;

    /** Bytes that the four sets of best tokens may take; long lists mean fewer states at a time. */
    private static final long LIST_BYTES = 256L << 20;

    private final Device device;
    private final Cublas blas;
    private final SoftmaxComparison task;
    private final int block;
    private final CudaCalibrationBatch batch;
    private final TopTokens denseTop;
    private final TopTokens compressedTop;
    private final DeviceMemory targets;
    private final Tiled tiled;
    private final TokenScores scores;

    private CudaSoftmaxPair(Owned owned, Cublas blas, SoftmaxComparison task, int tileRows) {
        device = owned.device();
        this.blas = blas;
        this.task = task;
        int states = task.hidden().rows();
        int top = task.topK();
        long mostListed = Math.max(1, LIST_BYTES / (4L * Long.BYTES * Math.max(1, top)));
        block = (int) Math.min(Math.min(states, MOST_STATES), mostListed);
        StoredFactors stored = new StoredFactors(owned, task.compressed(), false);
        batch = new CudaCalibrationBatch(owned, new RightFactors(owned, task.compressed(), stored), block, false);
        denseTop = top == 0 ? null : new TopTokens(owned, block, top);
        compressedTop = top == 0 ? null : new TopTokens(owned, block, top);
        targets = task.targets() == null ? null : owned.allocate(16L * block, "the targets");
        tiled = VocabularyTiles.fitting(owned, tileRows, (taken, rows) -> new Tiled(taken, blas, task, stored, rows));
        scores = new TokenScores(
                new double[states],
                new double[states],
                new double[states],
                task.targets() == null ? null : new float[states],
                task.targets() == null ? null : new float[states],
                new int[states * top],
                new int[states * top]);
    }

    /** What depends on the size of a tile. */
    private static final class Tiled {
        final CudaLogitTiles pair;
        final DeviceMemory keys;
        final DeviceMatrix matrix;

        Tiled(Owned owned, Cublas blas, SoftmaxComparison task, StoredFactors stored, int rows) {
            CompressedMatrix compressed = task.compressed();
            VocabularyTiles tiles = new VocabularyTiles(compressed, rows);
            long denseBias = bias(owned, task.denseBias());
            long compressedBias = bias(owned, task.compressedBias());
            pair = new CudaLogitTiles(owned, blas, stored, tiles, compressed.columns(), denseBias, compressedBias);
            long keyBytes = (long) Long.BYTES * CudaLogitTiles.STATES * tiles.tileRows();
            keys = task.topK() == 0 ? null : owned.allocate(keyBytes, "the keys of a tile's logits");
            // Last, because it stays on the card only if everything else has found room.
            matrix = new DeviceMatrix(owned, task.dense(), tiles.tileRows());
        }

        private static long bias(Owned owned, float[] values) {
            return values == null
                    ? 0
                    : owned.copy(MemorySegment.ofArray(values), "the bias of a softmax")
                            .address();
        }
    }

    /**
     * Runs both over all hidden states.
     *
     * @throws OutOfDeviceMemoryException if the card has not enough room, even for small tiles
     */
    public static TokenScores compare(Device device, Cublas blas, SoftmaxComparison task) {
        return compare(device, blas, task, VocabularyTiles.ROWS);
    }

    /** The same with at most so many rows a tile. */
    static TokenScores compare(Device device, Cublas blas, SoftmaxComparison task, int tileRows) {
        return device.call(() -> {
            try (Owned owned = new Owned(device)) {
                return new CudaSoftmaxPair(owned, blas, task, tileRows).run();
            }
        });
    }

    private TokenScores run() {
        int columns = task.hidden().columns();
        float[] hidden = new float[block * columns];
        for (int first = 0; first < task.hidden().rows(); first += block) {
            int count = Math.min(block, task.hidden().rows() - first);
            task.hidden().readRows(first, count, hidden, 0);
            batch.load(blas, MemorySegment.ofArray(hidden).asSlice(0, 4L * count * columns), count);
            CudaLogitTiles.Targets wanted = loadTargets(first, count);
            tiled.matrix.forEach((values, row, rows) -> tile(tiled.pair.tiles().tileAt(row), values, wanted));
            read(first, count);
        }
        return scores;
    }

    /** Uploads the targets and their places; room for their logits follows. */
    private CudaLogitTiles.Targets loadTargets(int first, int count) {
        if (targets == null) {
            return CudaLogitTiles.Targets.NONE;
        }
        int[] placeOf = tiled.pair.tiles().placeOf();
        int[] tokens = Arrays.copyOfRange(task.targets(), first, first + count);
        int[] places = Arrays.stream(tokens).map(token -> placeOf[token]).toArray();
        device.upload(MemorySegment.ofArray(tokens), targets, 0);
        device.upload(MemorySegment.ofArray(places), targets, part(1));
        long address = targets.address();
        return new CudaLogitTiles.Targets(address, address + part(1), address + part(2), address + part(3));
    }

    /** Where part {@code number} of the targets' memory begins. */
    private long part(int number) {
        return 4L * block * number;
    }

    private void tile(int tile, long values, CudaLogitTiles.Targets wanted) {
        CudaLogitTiles pair = tiled.pair;
        pair.forEachPart(tile, values, batch, (first, states) -> {
            pair.addToSoftmax(tile, batch, first, states, wanted.from(first));
            if (denseTop != null) {
                long scratch = tiled.keys.address();
                denseTop.add(pair, tile, first, states, pair.denseLogits(), pair.denseBias(), 0, scratch);
                compressedTop.add(
                        pair,
                        tile,
                        first,
                        states,
                        pair.compressedLogits(),
                        pair.compressedBias(),
                        pair.order(),
                        scratch);
            }
        });
        if (denseTop != null) {
            denseTop.endTile();
            compressedTop.endTile();
        }
    }

    private void read(int first, int count) {
        CudaCalibrationBatch.Softmaxes found = batch.softmaxes();
        for (int state = 0; state < count; state++) {
            scores.denseLogSumExp()[first + state] = found.denseLogSumExp(state);
            scores.compressedLogSumExp()[first + state] = found.compressedLogSumExp(state);
            scores.expectedGap()[first + state] = found.expectedGap(state);
        }
        if (targets != null) {
            readLogits(2, scores.denseTargetLogit(), first, count);
            readLogits(3, scores.compressedTargetLogit(), first, count);
        }
        if (denseTop != null) {
            denseTop.read(count, scores.denseTop(), first * task.topK());
            compressedTop.read(count, scores.compressedTop(), first * task.topK());
        }
    }

    private void readLogits(int part, float[] into, int first, int count) {
        device.download(targets, part(part), MemorySegment.ofArray(into).asSlice(4L * first, 4L * count));
    }
}
