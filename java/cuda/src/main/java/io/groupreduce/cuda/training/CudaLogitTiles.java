package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import java.lang.foreign.MemorySegment;

/**
 * Logits of the dense and the compressed softmax, a tile of the vocabulary and at most {@value #STATES} hidden states
 * at a time.
 *
 * <pre>X = A_tile H^T,   Y_s = L_s Z_b^T for every section s of the tile,   A_tile: rows x D, L_s: rows of s x k</pre>
 *
 * <p>All products are cuBLAS's in binary32. Both logits lie state by state, so that a state's are one run; X in the
 * order of the rows, Y in that of places. Bytes a tile: 4 D a row of A (widened, if it is stored shorter), the codes of
 * the left rows, 4 k a row decoded, 16 a row and state written and read. Never materialised: logits beyond a tile, a
 * decoded factor beyond a tile.
 */
final class CudaLogitTiles {
    /** Hidden states taken together. */
    static final int STATES = 512;

    private static final int TILE_PARAMETER_BYTES = 56;
    private static final int MOST_THREADS = 512;
    private static final int WARP = 32;

    /** Tokens that a thread sums up at least, so that a small tile does not wait for idle threads. */
    private static final int TOKENS_OF_THREAD = 8;

    private final Device device;
    private final Cublas blas;
    private final VocabularyTiles tiles;
    private final StoredFactors stored;
    private final DeviceMemory order;
    private final DeviceMemory denseLogits;
    private final DeviceMemory compressedLogits;
    private final DeviceMemory left;
    private final long denseBias;
    private final long compressedBias;
    private final int columns;
    private final Kernel softmax;
    private final Parameters parameters = new Parameters(TILE_PARAMETER_BYTES + 64);

    /**
     * What a running softmax looks up on its way.
     *
     * @param targets device address of one token a state, 0 for none
     * @param places device address of the places of those tokens
     * @param dense device address of one binary32 a state, which receives the target's dense logit
     * @param compressed likewise
     */
    record Targets(long targets, long places, long dense, long compressed) {
        static final Targets NONE = new Targets(0, 0, 0, 0);

        /** Those of the states from {@code state} on. */
        Targets from(int state) {
            long bytes = 4L * state;
            return targets == 0
                    ? NONE
                    : new Targets(targets + bytes, places + bytes, dense + bytes, compressed + bytes);
        }
    }

    /**
     * Takes memory for a tile.
     *
     * @param columns D
     * @param denseBias device address of N binary32, 0 for none
     * @param compressedBias likewise; what lies there may change between visits
     * @throws OutOfDeviceMemoryException if tiles of this size do not fit
     */
    CudaLogitTiles(
            Owned owned,
            Cublas blas,
            StoredFactors stored,
            VocabularyTiles tiles,
            int columns,
            long denseBias,
            long compressedBias) {
        device = owned.device();
        this.blas = blas;
        this.tiles = tiles;
        this.stored = stored;
        this.denseBias = denseBias;
        this.compressedBias = compressedBias;
        this.columns = columns;
        softmax = device.kernel("gr_pair_softmax");
        long logitBytes = 4L * STATES * tiles.tileRows();
        order = owned.copy(MemorySegment.ofArray(tiles.order()), "the order of the rows");
        denseLogits = owned.allocate(logitBytes, "the dense logits of a tile");
        compressedLogits = owned.allocate(logitBytes, "the compressed logits of a tile");
        left = owned.allocate(4L * tiles.tileRows() * tiles.widest(), "the decoded left rows of a tile");
    }

    VocabularyTiles tiles() {
        return tiles;
    }

    /** The device address of the token at every place. */
    long order() {
        return order.address();
    }

    /** The device address of the dense logits, {@link #stride} numbers a state. */
    long denseLogits() {
        return denseLogits.address();
    }

    /** The device address of the compressed logits, {@link #stride} numbers a state. */
    long compressedLogits() {
        return compressedLogits.address();
    }

    /** Numbers from one state's logits to the next one's. */
    int stride() {
        return tiles.tileRows();
    }

    /** Decodes the left and dense rows of a tile as they are stored now. */
    private void decode(int tile) {
        for (int section = 0; section < tiles.sections(); section++) {
            stored.decode(rows(tile, section), left(tile, section), tiles.width(section));
        }
    }

    /** The rows of a section of a tile. */
    StoredFactors.Rows rows(int tile, int section) {
        return StoredFactors.Rows.atPlaces(order(), tiles.from(tile, section), tiles.size(tile, section));
    }

    /** The device address of the decoded rows of a section, {@code width(section)} numbers each. */
    long left(int tile, int section) {
        return left.address() + 4L * numbersBefore(tile, section);
    }

    /** Numbers in the rows of the sections before this one. */
    long numbersBefore(int tile, int section) {
        long numbers = 0;
        for (int s = 0; s < section; s++) {
            numbers += (long) tiles.size(tile, s) * tiles.width(s);
        }
        return numbers;
    }

    /**
     * The device address of the compressed logits of a section of a tile, {@link #stride} numbers from state to state.
     */
    long compressedLogits(int tile, int section) {
        return compressedLogits() + 4L * (tiles.from(tile, section) - tiles.first(tile));
    }

    /** Takes the logits of a tile for some states of a batch. */
    @FunctionalInterface
    interface Part {
        void visit(int firstState, int states);
    }

    /**
     * Decodes a tile and computes its logits, without bias, part by part of a batch.
     *
     * @param values device address of the tile's rows of A
     */
    void forEachPart(int tile, long values, CudaCalibrationBatch batch, Part part) {
        decode(tile);
        for (int first = 0; first < batch.count(); first += STATES) {
            int states = Math.min(STATES, batch.count() - first);
            logits(tile, values, batch, first, states);
            part.visit(first, states);
        }
    }

    private void logits(int tile, long values, CudaCalibrationBatch batch, int firstState, int states) {
        int count = tiles.count(tile);
        // In columns: X, rows x states, is A, D x rows, transposed, times H, D x states.
        long hidden = batch.hidden(firstState);
        blas.sgemm(
                count,
                states,
                columns,
                1,
                Operand.transposed(values, columns),
                Operand.of(hidden, columns),
                0,
                Operand.of(denseLogits(), stride()));
        if (tiles.hasEmptyRows(tile)) {
            device.stream().clear(compressedLogits(), 4L * states * stride());
        }
        for (int section = 0; section < tiles.sections(); section++) {
            int rows = tiles.size(tile, section);
            if (rows > 0) {
                boolean dense = tiles.isDense(section);
                int width = tiles.width(section);
                blas.sgemm(
                        rows,
                        states,
                        width,
                        1,
                        Operand.transposed(left(tile, section), width),
                        Operand.of(
                                dense ? hidden : batch.coordinates(section, firstState),
                                dense ? columns : batch.rank(section)),
                        0,
                        Operand.of(compressedLogits(tile, section), stride()));
            }
        }
    }

    /** Adds the logits of a tile to the running softmaxes of those states. */
    void addToSoftmax(int tile, CudaCalibrationBatch batch, int firstState, int states, Targets targets) {
        tile(parameters.reset(), tile, states).address(batch.running(firstState));
        parameters.address(targets.targets(), targets.places(), targets.dense(), targets.compressed());
        softmax.launch(states, threads(tile), parameters.i32(tile == 0 ? 1 : 0));
    }

    /** Threads of a block that goes through all rows of a tile. */
    int threads(int tile) {
        int warps = Math.ceilDiv(tiles.count(tile), TOKENS_OF_THREAD * WARP);
        return Math.min(MOST_THREADS, WARP * warps);
    }

    /** Writes the structure {@code GrPairTile} of {@code training.h}. */
    Parameters tile(Parameters target, int tile, int states) {
        return target.address(denseLogits(), compressedLogits(), denseBias, compressedBias, order())
                .i32(tiles.first(tile), tiles.count(tile), stride(), states);
    }

    /** The address of the bias that is added to the dense logits; 0 for none. */
    long denseBias() {
        return denseBias;
    }

    /** The address of the bias that is added to the compressed logits; 0 for none. */
    long compressedBias() {
        return compressedBias;
    }
}
