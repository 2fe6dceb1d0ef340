package io.groupreduce.benchmarks.head;

import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A head that writes all logits of a batch, B x N, and then looks through them: for the likeliest tokens, and once more for the
 * log-sum-exp. Several threads share the states, or the logits of one state. Positions may be any order of the tokens.
 */
abstract class MaterialisedHead implements ScoringHead {
    /** Logits from which on a second thread is worth telling. */
    private static final int WORTH_SHARING = 1 << 16;

    private final Arena arena = Arena.ofShared();
    private final String name;
    private final int rows;
    private final float[] bias;
    private final Workers workers;
    private final HeadAnswers answers = new HeadAnswers();
    private final TopList[][] lists;
    private final double[][] sums;
    private final double[] logSumExp = new double[HeadAnswers.STATES];
    private MemorySegment logits = MemorySegment.NULL;

    /**
     * Makes room for results; logits get theirs as batches come.
     *
     * @param rows N
     * @param bias in the order of positions, length N, or {@code null}
     */
    MaterialisedHead(String name, int rows, float[] bias, int threads) {
        this.name = name;
        this.rows = rows;
        this.bias = bias;
        this.workers = new Workers(threads);
        this.lists = new TopList[HeadAnswers.STATES][threads];
        this.sums = new double[HeadAnswers.STATES][threads];
        for (TopList[] perThread : lists) {
            for (int t = 0; t < threads; t++) {
                perThread[t] = new TopList();
            }
        }
    }

    /** Writes the logits of a batch, size x N, plus {@code beta} times what stands there. */
    abstract void compute(Batch batch, int turn, float beta, MemorySegment target);

    /** The token whose logit stands at a position. */
    abstract int token(int position);

    /** Where the logit of a token stands. */
    abstract int position(int token);

    final Arena arena() {
        return arena;
    }

    final int rows() {
        return rows;
    }

    @Override
    public final String name() {
        return name;
    }

    @Override
    public final HeadAnswers answers() {
        return answers;
    }

    @Override
    public final void top(Batch batch, int turn) {
        materialise(batch, turn);
        findTop(batch.size());
    }

    @Override
    public final void topWithLogProbabilities(Batch batch, int turn) {
        materialise(batch, turn);
        findTop(batch.size());
        findLogSumExp(batch.size());
        for (int i = 0; i < batch.size() * TOP; i++) {
            answers.logProbabilities[i] = (float) (answers.logits[i] - logSumExp[i / TOP]);
        }
    }

    @Override
    public final void score(Batch batch, int turn) {
        materialise(batch, turn);
        findMost(batch.size());
        findLogSumExp(batch.size());
        int[] targets = batch.targets(turn);
        for (int s = 0; s < batch.size(); s++) {
            float logit = logits.getAtIndex(ValueLayout.JAVA_FLOAT, (long) s * rows + position(targets[s]));
            answers.targetLogProbabilities[s] = (float) (logit - logSumExp[s]);
        }
    }

    private void materialise(Batch batch, int turn) {
        long bytes = (long) batch.size() * rows * Float.BYTES;
        if (logits.byteSize() < bytes) {
            logits = OffHeap.floats(arena, bytes / Float.BYTES);
        }
        for (int s = 0; bias != null && s < batch.size(); s++) {
            MemorySegment.copy(bias, 0, logits, ValueLayout.JAVA_FLOAT, at(s, 0), rows);
        }
        compute(batch, turn, bias == null ? 0 : 1, logits);
    }

    private void findTop(int states) {
        pieces(states, (state, thread, first, count) -> {
            TopList list = lists[state][thread];
            list.clear();
            LogitScan.top(logits, at(state, first), first, count, list);
        });
        for (int s = 0; s < states; s++) {
            TopList best = lists[s][0];
            for (int t = 1; t < parts(states); t++) {
                best.offerAll(lists[s][t]);
            }
            for (int i = 0; i < TOP; i++) {
                answers.tokens[s * TOP + i] = token(best.positions[i]);
                answers.logits[s * TOP + i] = best.values[i];
            }
        }
    }

    private void findMost(int states) {
        pieces(
                states,
                (state, thread, first, count) ->
                        lists[state][thread].values[0] = LogitScan.max(logits, at(state, first), count));
        for (int s = 0; s < states; s++) {
            for (int t = 1; t < parts(states); t++) {
                lists[s][0].values[0] = Math.max(lists[s][0].values[0], lists[s][t].values[0]);
            }
        }
    }

    /** The largest logit of each state stands in its first list. */
    private void findLogSumExp(int states) {
        pieces(
                states,
                (state, thread, first, count) -> sums[state][thread] =
                        LogitScan.sumOfExponentials(logits, at(state, first), count, lists[state][0].values[0]));
        for (int s = 0; s < states; s++) {
            double sum = sums[s][0];
            for (int t = 1; t < parts(states); t++) {
                sum += sums[s][t];
            }
            logSumExp[s] = lists[s][0].values[0] + Math.log(sum);
        }
    }

    private long at(int state, int first) {
        return ((long) state * rows + first) * Float.BYTES;
    }

    /** What a thread does with {@code count} logits of a state from {@code first} on; its results lie at {@code thread}. */
    private interface Piece {
        void work(int state, int thread, int first, int count);
    }

    /** Into how many pieces the logits of a state are cut: where there are too few states to share, and enough logits. */
    private int parts(int states) {
        return states < workers.count() && rows >= WORTH_SHARING ? workers.count() : 1;
    }

    private void pieces(int states, Piece piece) {
        int parts = parts(states);
        if ((long) states * rows < WORTH_SHARING) {
            for (int s = 0; s < states; s++) {
                piece.work(s, 0, 0, rows);
            }
            return;
        }
        workers.run(workers.count(), (thread, worker) -> {
            for (int s = parts > 1 ? 0 : thread; s < states; s += parts > 1 ? 1 : workers.count()) {
                int part = parts > 1 ? thread : 0;
                int first = (int) ((long) rows * part / parts);
                int end = (int) ((long) rows * (part + 1) / parts);
                piece.work(s, part, first, end - first);
            }
        });
    }

    @Override
    public void close() {
        workers.close();
        arena.close();
    }
}
