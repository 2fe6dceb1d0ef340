package io.groupreduce.vector.inference;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
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

    private final Workers workers;
    private final InferenceProblem problem;
    private final CompressedMatrix matrix;
    private final RowReader rows;
    private final PruningRecord record;
    private volatile Loaded loaded;
    private boolean closed;

    /** The head as laid out, and the scratch memory of its queries. */
    private record Loaded(PackedHead head, Pool<Query> queries) {}

    /** Scratch memory of one query. */
    private static final class Query {
        final HeadPass pass;
        final HeadQuestion question = new HeadQuestion();
        final Candidates candidates = new Candidates();
        final FullRanking full;

        Query(HeadPass pass, int tokens) {
            this.pass = pass;
            this.full = new FullRanking(tokens);
        }
    }

    /** The workers stay the caller's. */
    public VectorInference(Workers workers, InferenceProblem problem) {
        this.workers = workers;
        this.problem = problem;
        matrix = problem.matrix();
        rows = new RowReader(matrix);
        record = new PruningRecord(problem.pruning());
    }

    private Loaded loaded() {
        Loaded ready = loaded;
        return ready == null ? load() : ready;
    }

    private synchronized Loaded load() {
        if (closed) {
            throw new IllegalStateException("the session is closed");
        }
        if (loaded == null) {
            PackedHead head = new PackedHead(workers, matrix, problem.bias());
            try {
                StateProjection projection = new StateProjection(matrix);
                TailBounds bounds = problem.pruning() == Pruning.OFF ? null : new TailBounds(workers, head);
                loaded = new Loaded(
                        head,
                        new Pool<>(() -> new Query(
                                new HeadPass(head, projection, bounds, matrix.columns(), workers.count()),
                                matrix.rows())));
            } catch (Throwable e) {
                head.close();
                throw e;
            }
        }
        return loaded;
    }

    @Override
    public void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        Pool<Query> pool = loaded().queries();
        Query query = pool.acquire();
        for (int first = 0; first < states; first += HeadPass.MOST_STATES) {
            int count = project(query, hidden, states, first);
            int listed = k > LONGEST_LIST ? 0 : k;
            if (listed > 0 || logSumExp != null) {
                ask(query, query.question.top(listed, logSumExp != null, 1, problem.logSumExpTolerance()), count);
            }
            if (listed > 0) {
                query.pass.ranking().copyTo(count, tokens, first * k, logits, first * k);
            }
            for (int state = 0; logSumExp != null && state < count; state++) {
                logSumExp[first + state] = logSumExp(query, state);
            }
            for (int state = 0; listed == k && state < count; state++) {
                if (!query.pass.projected().finite(state)) {
                    Arrays.fill(logits, (first + state) * k, (first + state + 1) * k, Float.NaN);
                }
            }
            for (int state = 0; listed < k && state < count; state++) {
                askAll(query, hidden, first + state);
                query.full.best(k).copyTo(tokens, logits, (first + state) * k);
            }
        }
        release(pool, query);
    }

    /** Not a number where coordinates of the state are none: some logits would pass comparisons in silence. */
    private static double logSumExp(Query query, int state) {
        return query.pass.projected().finite(state) ? query.pass.logSumExp(state) : Double.NaN;
    }

    /** Brings all logits of one state, to be ranked. */
    private void askAll(Query query, float[] hidden, int state) {
        project(query, hidden, state + 1, state);
        ask(query, query.question.logits(query.full.target(), 0), 1);
    }

    /** Takes up the next states of a batch. */
    private int project(Query query, float[] hidden, int states, int first) {
        int count = Math.min(HeadPass.MOST_STATES, states - first);
        query.pass.reserve(count);
        int columns = matrix.columns();
        System.arraycopy(hidden, first * columns, query.pass.hidden(), 0, count * columns);
        query.pass.project(workers, count);
        return count;
    }

    private static void release(Pool<Query> pool, Query query) {
        query.question.forgetTarget();
        pool.release(query);
    }

    private void ask(Query query, HeadQuestion question, int states) {
        boolean prune = states == 1 && question.prunable() && record.worthTrying();
        double made = query.pass.ask(workers, question, prune);
        if (prune) {
            record.add(made);
        }
    }

    @Override
    public void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        Pool<Query> pool = loaded().queries();
        Query query = pool.acquire();
        for (int first = 0; first < states; first += HeadPass.MOST_STATES) {
            int count = project(query, hidden, states, first);
            for (int state = 0; state < count; state++) {
                int token = targets[first + state];
                double logit = rows.dot(token, query.pass.projected(), state);
                logits[first + state] = (float) (problem.bias() == null ? logit : logit + problem.bias()[token]);
            }
            if (logSumExp != null) {
                ask(query, query.question.top(0, true, 1, problem.logSumExpTolerance()), count);
                for (int state = 0; state < count; state++) {
                    logSumExp[first + state] = logSumExp(query, state);
                }
            }
        }
        release(pool, query);
    }

    @Override
    public void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        Pool<Query> pool = loaded().queries();
        Query query = pool.acquire();
        for (int first = 0; first < states; first += HeadPass.MOST_STATES) {
            int count = project(query, hidden, states, first);
            if (sampling.keepsAll()) {
                ask(query, query.question.draw(sampling.temperature(), seed, first), count);
                for (int state = 0; state < count; state++) {
                    boolean finite = query.pass.projected().finite(state);
                    tokens[first + state] = finite ? query.pass.noise().token(state) : NoiseSearch.NONE;
                }
            } else {
                filtered(query, hidden, first, count, sampling, seed, tokens);
            }
        }
        release(pool, query);
    }

    /**
     * Draws from what top-k, top-p and min-p leave: from the likeliest tokens, of which a longer list is taken where the first does
     * not hold all that stay.
     */
    private void filtered(
            Query query, float[] hidden, int first, int count, Sampling sampling, long seed, int[] tokens) {
        int all = matrix.rows();
        boolean summed = sampling.topK() == 0 && sampling.topP() < 1;
        Arrays.fill(tokens, first, first + count, NoiseSearch.NONE);
        int k = Math.min(all, sampling.topK() > 0 ? sampling.topK() : Candidates.FIRST_LIST);
        boolean open = true;
        while (open && k <= LONGEST_LIST) {
            ask(query, query.question.top(k, summed, sampling.temperature(), 0), count);
            open = false;
            for (int state = 0; state < count; state++) {
                double sum = summed ? query.pass.sum(state) : 0;
                boolean finite = query.pass.projected().finite(state);
                if (finite && tokens[first + state] == NoiseSearch.NONE) {
                    boolean whole = k == all || k == sampling.topK();
                    tokens[first + state] = query.candidates
                            .of(query.pass.ranking(), state, k)
                            .draw(sampling, sum, whole, seed, first + state);
                    open |= tokens[first + state] == NoiseSearch.NONE && !whole;
                }
            }
            k = k == all ? all : Math.min(all, k * 16);
        }
        for (int state = 0; open && state < count; state++) {
            if (tokens[first + state] == NoiseSearch.NONE) {
                askAll(query, hidden, first + state);
                int kept = sampling.topK() > 0 ? Math.min(all, sampling.topK()) : all;
                boolean finite = query.pass.projected().finite(0);
                tokens[first + state] = finite
                        ? query.candidates.of(query.full, kept).draw(sampling, 0, true, seed, first + state)
                        : NoiseSearch.NONE;
            }
        }
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        Pool<Query> pool = loaded().queries();
        Query query = pool.acquire();
        for (int first = 0; first < states; first += HeadPass.MOST_STATES) {
            int count = project(query, hidden, states, first);
            ask(query, query.question.logits(target, first), count);
        }
        release(pool, query);
    }

    @Override
    public void rows(int[] tokens, int count, float[] target, int offset) {
        for (int i = 0; i < count; i++) {
            rows.read(tokens[i], target, offset + i * matrix.columns());
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
