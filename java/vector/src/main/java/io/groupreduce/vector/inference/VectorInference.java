package io.groupreduce.vector.inference;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.vector.inference.HeadPass.Question;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A compressed matrix that answers batches on the processor. Loading does nothing; the first query that needs logits lays the codes
 * out for the kernels ({@link PackedHead}), so that an embedding table, which only reads rows, never has a second copy of them.
 */
public final class VectorInference implements InferenceSession {
    /** Longer lists are found by sorting all logits of a state. */
    private static final int LONGEST_LIST = 1024;

    /** Rows that take this many bytes of factors are worth a second thread. */
    private static final long SHARED_ROW_BYTES = 1 << 20;

    /** So many are a task. */
    private static final long TASK_ROW_BYTES = 1 << 18;

    private final Workers workers;
    private final InferenceProblem problem;
    private final CompressedMatrix matrix;
    private final RowReader rows;
    private volatile Loaded loaded;
    private boolean closed;

    /** The head as laid out, and the memory of its queries. */
    private record Loaded(PackedHead head, Pool<HeadPass> passes) {}

    /** The workers stay the caller's. */
    public VectorInference(Workers workers, InferenceProblem problem) {
        this.workers = workers;
        this.problem = problem;
        matrix = problem.matrix();
        rows = new RowReader(matrix);
    }

    private Pool<HeadPass> passes() {
        Loaded ready = loaded;
        return (ready == null ? load() : ready).passes();
    }

    private synchronized Loaded load() {
        if (closed) {
            throw new IllegalStateException("the session is closed");
        }
        if (loaded == null) {
            PackedHead head = new PackedHead(workers, matrix, problem.bias());
            try {
                TailBounds bounds =
                        problem.pruning() == Pruning.OFF ? null : new TailBounds(workers, head, problem.pruning());
                loaded = new Loaded(head, new Pool<>(() -> new HeadPass(workers, head, bounds)));
            } catch (Throwable e) {
                head.close();
                throw e;
            }
        }
        return loaded;
    }

    @Override
    public void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        int listed = k > LONGEST_LIST ? 0 : k;
        Question question = Question.top(listed, logSumExp != null, 1, problem.logSumExpTolerance());
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(hidden, first, states);
            if (question.k() > 0 || question.summed()) {
                pass.ask(question);
            }
            for (int s = 0; s < count; s++) {
                if (logSumExp != null) {
                    logSumExp[first + s] = pass.logSumExp(s);
                }
                if (listed > 0) {
                    pass.ranking().copyTo(s, tokens, logits, (first + s) * k);
                    forgetUnless(pass.finite(s), logits, (first + s) * k, k);
                }
            }
            for (int s = first; s < first + count && listed < k; s++) {
                pass.take(hidden, s, s + 1);
                pass.rankAll(k).copyTo(0, tokens, logits, s * k);
                forgetUnless(pass.finite(0), logits, s * k, k);
            }
        }
        pool.release(pass);
    }

    private static void forgetUnless(boolean finite, float[] logits, int at, int k) {
        if (!finite) {
            Arrays.fill(logits, at, at + k, Float.NaN);
        }
    }

    @Override
    public void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        Question sum = Question.top(0, true, 1, problem.logSumExpTolerance());
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(hidden, first, states);
            if (logSumExp != null) {
                pass.ask(sum);
            }
            for (int s = 0; s < count; s++) {
                int token = targets[first + s];
                double logit = rows.dot(token, pass.projection(), s);
                logits[first + s] = (float) (problem.bias() == null ? logit : logit + problem.bias()[token]);
                if (logSumExp != null) {
                    logSumExp[first + s] = pass.logSumExp(s);
                }
            }
        }
        pool.release(pass);
    }

    @Override
    public void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(hidden, first, states);
            if (sampling.keepsAll()) {
                pass.ask(Question.draw(sampling.temperature(), seed, first));
                for (int s = 0; s < count; s++) {
                    tokens[first + s] = pass.drawn(s);
                }
            } else {
                drawFromLists(pass, hidden, first, count, sampling, seed, tokens);
            }
        }
        pool.release(pass);
    }

    /**
     * Draws from what top-k, top-p and min-p leave: from the likeliest tokens, of which a longer list is taken where the first does
     * not hold all that stay.
     */
    private void drawFromLists(
            HeadPass pass, float[] hidden, int first, int count, Sampling sampling, long seed, int[] tokens) {
        int most = sampling.topK() > 0 ? sampling.topK() : matrix.rows();
        boolean summed = sampling.topK() == 0 && sampling.topP() < 1;
        Arrays.fill(tokens, first, first + count, Drawing.NONE);
        boolean open = true;
        int k = sampling.topK() > 0 ? most : Math.min(most, Drawing.FIRST_LIST);
        for (; open && k <= LONGEST_LIST; k = Math.min(most, 16 * k)) {
            pass.ask(Question.top(k, summed, sampling.temperature(), 0));
            open = false;
            for (int s = 0; s < count; s++) {
                int at = first + s;
                if (tokens[at] == Drawing.NONE && pass.finite(s)) {
                    double sum = summed ? pass.sum(s) : Double.NaN;
                    tokens[at] = Drawing.draw(pass.ranking(), s, most - k, sum, sampling, GumbelNoise.key(seed, at));
                    open |= tokens[at] == Drawing.NONE && k < most;
                }
            }
        }
        for (int at = first; at < first + count && open; at++) {
            if (tokens[at] == Drawing.NONE) {
                pass.take(hidden, at, at + 1);
                if (pass.finite(0)) {
                    tokens[at] =
                            Drawing.draw(pass.rankAll(most), 0, 0, Double.NaN, sampling, GumbelNoise.key(seed, at));
                }
            }
        }
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(hidden, first, states);
            pass.ask(Question.logits(target, first));
        }
        pool.release(pass);
    }

    @Override
    public void rows(int[] tokens, int count, float[] target, int offset) {
        long bytes = rows.bytes(tokens, count);
        if (bytes < SHARED_ROW_BYTES) {
            rows.read(tokens, 0, count, target, offset);
        } else {
            int some = (int) Math.max(1, count * TASK_ROW_BYTES / bytes);
            workers.runOrAlone(Math.ceilDiv(count, some), (task, worker) -> {
                int first = task * some;
                rows.read(tokens, first, Math.min(count, first + some), target, offset);
            });
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
        if (loaded != null) {
            loaded.head().close();
            loaded = null;
        }
    }
}
