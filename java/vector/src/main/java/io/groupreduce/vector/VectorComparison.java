package io.groupreduce.vector;

import static io.groupreduce.vector.Lanes.NR;

import io.groupreduce.backend.SoftmaxComparison;
import io.groupreduce.backend.TokenScores;
import java.util.Arrays;

/**
 * The dense and the compressed softmax over the same hidden states, side by side.
 *
 * <pre>z = A h + a,   y = A^ h + b,   A, A^: N x D, h: D, for each of T hidden states</pre>
 *
 * <p>The vocabulary, sorted by group, is cut into parts, which threads share out, and a part into tiles. A tile's rows are
 * read and reconstructed once for a block of hidden states; their logits are computed NR hidden states at a time, go into the
 * running softmax of the part and the worker's top tokens, and are forgotten. Parts are merged in order and top tokens have a
 * total order, so that no result depends on who computed it.
 * Bytes, per block of hidden states: A and the stored A^ once; the packed hidden states (4 D each) from the caches once a tile.
 * Never materialised: the T x N logits, A^ beyond a tile.
 */
final class VectorComparison {
    private static final int TILE_FLOATS = 1 << 17;
    private static final int PARTS = 64;

    /** Hidden states taken together: few enough for the running sums and top tokens to fit this many bytes. */
    private static final long STATE_BYTES = 64L << 20;

    private static final int MAX_BLOCK = 4096;

    private final Workers workers;
    private final SoftmaxComparison task;
    private final int columns;
    private final int states;
    private final Reconstruction reconstruction;
    private final GroupTiles tiles;
    private final int tileRows;
    private final int parts;
    private final int block;
    private final int[] targetPlace;
    private final TokenScores scores;

    VectorComparison(Workers workers, SoftmaxComparison task) {
        this.workers = workers;
        this.task = task;
        columns = task.dense().columns();
        states = task.hidden().rows();
        reconstruction = new Reconstruction(task.compressed());
        tileRows = Lanes.tileRows(TILE_FLOATS, columns);
        tiles = new GroupTiles(
                task.compressed().groupOf(), task.compressed().groups().size(), tileRows);
        parts = Math.min(PARTS, tiles.count());
        long stateBytes = 2 * (20L * parts + (8L * task.topK() + 4) * workers.count());
        block = Lanes.padColumns(Math.clamp(STATE_BYTES / stateBytes, 1, Math.min(states, MAX_BLOCK)));
        targetPlace = task.targets() == null ? null : places();
        scores = new TokenScores(
                new double[states],
                new double[states],
                new double[states],
                task.targets() == null ? null : new float[states],
                task.targets() == null ? null : new float[states],
                new int[states * task.topK()],
                new int[states * task.topK()]);
    }

    /** Where the target of each hidden state is among the rows sorted by group. */
    private int[] places() {
        int[] order = tiles.order();
        int[] placeOf = new int[order.length];
        for (int at = 0; at < order.length; at++) {
            placeOf[order[at]] = at;
        }
        return Arrays.stream(task.targets()).map(target -> placeOf[target]).toArray();
    }

    TokenScores run() {
        for (int first = 0; first < states; first += block) {
            int start = first;
            int count = Math.min(block, states - first);
            PackedMatrix hidden = pack(first, count);
            SoftmaxHeadState[] dense = new SoftmaxHeadState[parts];
            SoftmaxHeadState[] compressed = new SoftmaxHeadState[parts];
            Scratch[] scratch = new Scratch[workers.count()];
            workers.run(parts, (part, worker) -> {
                dense[part] = new SoftmaxHeadState(Lanes.padColumns(count));
                compressed[part] = new SoftmaxHeadState(Lanes.padColumns(count));
                if (scratch[worker] == null) {
                    scratch[worker] = new Scratch(tileRows, columns, reconstruction, count, task.topK());
                }
                int end = (int) ((part + 1L) * tiles.count() / parts);
                for (int tile = (int) ((long) part * tiles.count() / parts); tile < end; tile++) {
                    tile(tile, start, count, hidden, dense[part], compressed[part], scratch[worker]);
                }
            });
            for (int part = 1; part < parts; part++) {
                dense[0].merge(dense[part]);
                compressed[0].merge(compressed[part]);
            }
            store(first, count, dense[0], compressed[0]);
            storeTop(first, count, scratch);
        }
        return scores;
    }

    /** Hidden states as columns, D x count. */
    private PackedMatrix pack(int first, int count) {
        PackedMatrix packed = new PackedMatrix(columns, count);
        workers.run(packed.panels(), (panel, worker) -> {
            int from = panel * NR;
            int rows = Math.min(NR, count - from);
            float[] values = new float[rows * columns];
            task.hidden().readRows(first + from, rows, values, 0);
            packed.setColumns(from, values, columns, rows);
        });
        return packed;
    }

    private void tile(
            int tile,
            int firstState,
            int count,
            PackedMatrix hidden,
            SoftmaxHeadState dense,
            SoftmaxHeadState compressed,
            Scratch s) {
        int rows = tiles.rows(tile);
        int place = tiles.first(tile);
        int[] order = tiles.order();
        RowGather.read(task.dense(), order, place, rows, s.original);
        reconstruction.tile(tiles.group(tile), tiles.slot(tile), rows, s.factors, s.approximation, s.stride);
        for (int panel = 0; panel < hidden.panels(); panel++) {
            int state = panel * NR;
            int used = Math.min(NR, count - state);
            logits(s.original, columns, rows, hidden.panel(panel), task.denseBias(), place, s.z);
            logits(s.approximation, s.stride, rows, hidden.panel(panel), task.compressedBias(), place, s.y);
            dense.add(state, s.z, s.y, rows, s.maxima, s.lanes);
            s.denseTop.add(state, used, s.z, rows, s.maxima, order, place);
            compressed.add(state, s.y, null, rows, s.maxima, s.lanes);
            s.compressedTop.add(state, used, s.y, rows, s.maxima, order, place);
            for (int j = 0; targetPlace != null && j < used; j++) {
                int row = targetPlace[firstState + state + j] - place;
                if (row >= 0 && row < rows) {
                    scores.denseTargetLogit()[firstState + state + j] = s.z[row * NR + j];
                    scores.compressedTargetLogit()[firstState + state + j] = s.y[row * NR + j];
                }
            }
        }
    }

    private void logits(float[] a, int lda, int rows, float[] panel, float[] bias, int place, float[] target) {
        Gemm.panel(a, 0, lda, rows, columns, panel, target, 0, NR);
        for (int i = 0; bias != null && i < rows; i++) {
            float b = bias[tiles.order()[place + i]];
            for (int j = i * NR; j < i * NR + NR; j++) {
                target[j] += b;
            }
        }
    }

    private void store(int first, int count, SoftmaxHeadState dense, SoftmaxHeadState compressed) {
        for (int t = 0; t < count; t++) {
            scores.denseLogSumExp()[first + t] = dense.logSumExp(t);
            scores.compressedLogSumExp()[first + t] = compressed.logSumExp(t);
            scores.expectedGap()[first + t] = dense.expectedGap(t);
        }
    }

    /** Merges what the workers found. */
    private void storeTop(int first, int count, Scratch[] scratch) {
        TopTokens dense = new TopTokens(count, task.topK());
        TopTokens compressed = new TopTokens(count, task.topK());
        for (Scratch worker : scratch) {
            if (worker != null) {
                dense.merge(worker.denseTop);
                compressed.merge(worker.compressedTop);
            }
        }
        dense.copyTo(scores.denseTop(), first, count);
        compressed.copyTo(scores.compressedTop(), first, count);
    }

    /** Memory of one worker for a block of hidden states. */
    private static final class Scratch {
        private final int stride;
        private final float[] original;
        private final float[] approximation;
        private final float[] factors;
        private final float[] z;
        private final float[] y;
        private final float[] maxima = new float[NR];
        private final float[] lanes = new float[3 * Lanes.LANES];
        private final TopTokens denseTop;
        private final TopTokens compressedTop;

        Scratch(int rows, int columns, Reconstruction reconstruction, int states, int topK) {
            stride = Lanes.padColumns(columns);
            original = new float[rows * columns];
            approximation = new float[rows * stride];
            factors = new float[reconstruction.scratch(rows)];
            z = new float[rows * NR];
            y = new float[rows * NR];
            denseTop = new TopTokens(states, topK);
            compressedTop = new TopTokens(states, topK);
        }
    }
}
