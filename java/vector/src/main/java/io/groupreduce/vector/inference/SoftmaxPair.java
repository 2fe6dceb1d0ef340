package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.internal.select.Ranking;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The dense and the compressed softmax over the same hidden states, side by side.
 *
 * <pre>x = A h + a,   y = L_p R_b h + b,   A: N x D, h: D, for each of T hidden states</pre>
 *
 * <p>The compressed side is the one that answers queries: the same tiles, the same decoding, the same coordinates. A tile's dense rows are
 * read and turned into the same panels; then {@link #STEP} states at a time meet both, and the logits go into two running softmaxes and the
 * worker's top tokens and are forgotten. Tasks are merged in order and top tokens have a total order, so that no result depends on who
 * computed it. Bytes, per block of states: A and the codes once. Never materialised: the T x N logits, a row of A^.
 */
public final class SoftmaxPair {
    /** States taken together: A is read once for each block. */
    private static final int MOST_STATES = 4096 / Lanes.MR * Lanes.MR;

    /** States whose logits of a tile stay in the first-level cache. */
    private static final int STEP = 8 * Lanes.MR;

    /** Tiles of a task while there are not too many: sums of a task are in single precision. */
    private static final int TILES = 32;

    private static final int FEWEST_TASKS = 64;
    private static final int MOST_TASKS = 256;

    private final Workers workers;
    private final SoftmaxComparison task;
    private final PackedHead head;
    private final StateProjection projection;
    private final float[] denseBias;
    /** Per hidden state, the place of its target; {@code null} without targets. */
    private final int[] placeOfTarget;

    private final int columns;
    private final int block;
    private final int tasks;
    private final int panelStride;
    private final TokenScores scores;

    private SoftmaxPair(Workers workers, SoftmaxComparison task, PackedHead head) {
        this.workers = workers;
        this.task = task;
        this.head = head;
        columns = task.dense().columns();
        projection = new StateProjection(head);
        int states = task.hidden().rows();
        block = Math.min(states, MOST_STATES);
        tasks = Math.min(head.tiles(), Math.clamp(head.tiles() / TILES, FEWEST_TASKS, MOST_TASKS));
        int rank = columns;
        for (PackedHead.Group group : head.groups) {
            rank = Math.max(rank, group.rank());
        }
        panelStride = (rank + 7) * NR;
        denseBias = new float[head.bias.length];
        Arrays.fill(denseBias, PackedHead.NO_TOKEN);
        int[] placeOf = new int[head.tokenCount()];
        for (int place = 0; place < head.tokens.length; place++) {
            int token = head.tokens[place];
            if (token != Integer.MAX_VALUE) {
                placeOf[token] = place;
                denseBias[place] = task.denseBias() == null ? 0 : task.denseBias()[token];
            }
        }
        boolean targeted = task.targets() != null;
        placeOfTarget = targeted
                ? Arrays.stream(task.targets()).map(token -> placeOf[token]).toArray()
                : null;
        scores = new TokenScores(
                new double[states],
                new double[states],
                new double[states],
                targeted ? new float[states] : null,
                targeted ? new float[states] : null,
                new int[states * task.topK()],
                new int[states * task.topK()]);
    }

    /** Runs both over all hidden states. */
    public static TokenScores compare(Workers workers, SoftmaxComparison task) {
        try (PackedHead head = new PackedHead(workers, task.compressed(), task.compressedBias(), 0)) {
            return new SoftmaxPair(workers, task, head).run();
        }
    }

    private TokenScores run() {
        RunningSoftmax.Merged dense = new RunningSoftmax.Merged();
        RunningSoftmax.Merged compressed = new RunningSoftmax.Merged();
        Scratch[] scratch = new Scratch[workers.count()];
        Arrays.setAll(scratch, worker -> new Scratch());
        for (int start = 0; start < task.hidden().rows(); start += block) {
            int first = start;
            int count = Math.min(block, task.hidden().rows() - first);
            projection.reserve(count, false);
            task.hidden().readRows(first, count, projection.hidden(), 0);
            workers.run(projection.tasks(), projection);
            for (Scratch used : scratch) {
                used.start(count, task.topK());
            }
            dense.start(tasks, count);
            compressed.start(tasks, count);
            workers.run(tasks, (part, worker) -> {
                part(part, first, count, scratch[worker]);
                dense.take(part, scratch[worker].dense);
                dense.takeGaps(part, scratch[worker].dense);
                compressed.take(part, scratch[worker].compressed);
            });
            for (int state = 0; state < count; state++) {
                scores.denseLogSumExp()[first + state] = dense.logSumExp(state, tasks);
                scores.expectedGap()[first + state] = dense.expectedGap(state, tasks);
                scores.compressedLogSumExp()[first + state] = compressed.logSumExp(state, tasks);
            }
            storeTop(first, count, scratch);
        }
        return scores;
    }

    private void part(int part, int first, int count, Scratch s) {
        s.dense.start(count);
        s.compressed.start(count);
        int end = (int) ((part + 1L) * head.tiles() / tasks);
        for (int tile = (int) ((long) part * head.tiles() / tasks); tile < end; tile++) {
            PackedHead.Group group = head.group(tile);
            int rows = group.rows(tile);
            RowGather.read(task.dense(), head.tokens, tile * TILE, rows, s.rows);
            s.transpose(rows);
            if (group.rank() > 0) {
                TileDecoder.decode(head, tile, 0, group.rank(), s.factor, panelStride);
            }
            int index = projection.index(group.basis());
            for (int state = 0; state < count; state += STEP) {
                int states = Math.min(STEP, count - state);
                for (int p = 0; p < TILE / NR; p++) {
                    product(projection.hidden(), columns, state, states, columns, s.original.panel(p), 0, s.x, p);
                    if (group.rank() > 0) {
                        int stride = projection.stride(index);
                        float[] z = projection.z[index];
                        product(z, stride, state, states, group.rank(), s.factor, p * panelStride, s.y, p);
                    }
                }
                if (group.rank() == 0) {
                    Arrays.fill(s.y, 0, states * TILE, 0f);
                }
                consume(tile, first, state, states, s);
            }
        }
    }

    private static void product(
            float[] z, int stride, int state, int states, int depth, float[] panel, int at, float[] logits, int p) {
        Gemm.panel(z, state * stride, stride, states, depth, panel, at, logits, p * NR, TILE, false);
    }

    private void consume(int tile, int first, int state, int states, Scratch s) {
        int place = tile * TILE;
        for (int j = 0; j < states; j++) {
            int at = j * TILE;
            for (int i = 0; i < TILE; i += LANES) {
                FloatVector bias = FloatVector.fromArray(FLOATS, denseBias, place + i);
                FloatVector.fromArray(FLOATS, s.x, at + i).add(bias).intoArray(s.x, at + i);
            }
            head.finish(tile, s.y, at);
            if (task.topK() > 0) {
                offer(s.denseTop, state + j, s.x, at, tile);
                offer(s.compressedTop, state + j, s.y, at, tile);
            }
            int target = placeOfTarget == null ? -1 : placeOfTarget[first + state + j] - place;
            if (target >= 0 && target < TILE) {
                scores.denseTargetLogit()[first + state + j] = s.x[at + target];
                scores.compressedTargetLogit()[first + state + j] = s.y[at + target];
            }
        }
        s.dense.addWithGap(state, states, s.x, s.y);
        s.compressed.add(state, states, s.y, 0);
    }

    private void offer(Ranking top, int state, float[] logits, int at, int tile) {
        long reaching = Search.reaching(logits, at, top.threshold(state)) & head.lanes[tile];
        for (; reaching != 0; reaching &= reaching - 1) {
            int lane = Long.numberOfTrailingZeros(reaching);
            top.offer(state, logits[at + lane], head.tokens[tile * TILE + lane]);
        }
    }

    private void storeTop(int first, int count, Scratch[] scratch) {
        if (task.topK() == 0) {
            return;
        }
        Ranking dense = new Ranking();
        Ranking compressed = new Ranking();
        dense.start(count, task.topK());
        compressed.start(count, task.topK());
        for (Scratch worker : scratch) {
            dense.merge(worker.denseTop, count);
            compressed.merge(worker.compressedTop, count);
        }
        System.arraycopy(dense.tokens(), 0, scores.denseTop(), first * task.topK(), count * task.topK());
        System.arraycopy(compressed.tokens(), 0, scores.compressedTop(), first * task.topK(), count * task.topK());
    }

    /** Memory of one worker. */
    private final class Scratch {
        final RunningSoftmax dense = new RunningSoftmax();
        final RunningSoftmax compressed = new RunningSoftmax();
        final Ranking denseTop = new Ranking();
        final Ranking compressedTop = new Ranking();
        final float[] rows = new float[TILE * columns];
        final PackedMatrix original = new PackedMatrix(columns, TILE);
        final float[] factor = new float[TILE / NR * panelStride];
        final float[] x = new float[Lanes.padRows(STEP) * TILE];
        final float[] y = new float[Lanes.padRows(STEP) * TILE];

        void start(int states, int topK) {
            denseTop.start(states, topK);
            compressedTop.start(states, topK);
        }

        /** Rows of a shorter tile are followed by zeros, not by those of an earlier one. */
        void transpose(int count) {
            Arrays.fill(rows, count * columns, rows.length, 0f);
            original.setColumns(0, rows, columns, TILE);
        }
    }
}
