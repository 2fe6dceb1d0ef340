package io.groupreduce.vector.inference;

import io.groupreduce.api.Pruning;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.MemorySegment;

/**
 * A compressed matrix that answers batches on the processor. Loading does nothing; the first query that needs logits lays the codes
 * out for the kernels ({@link PackedHead}), so that an embedding table, which only reads rows, never has a second copy of them.
 */
public final class VectorInference implements InferenceSession {
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
        rows = new RowReader(problem);
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
            PackedHead head = new PackedHead(workers, matrix, problem.bias(), problem.cap());
            try {
                TailBounds bounds =
                        problem.pruning() == Pruning.OFF ? null : new TailBounds(workers, head, problem.pruning());
                loaded = new Loaded(head, new Pool<>(() -> new HeadPass(workers, head, rows, bounds)));
            } catch (Throwable e) {
                head.close();
                throw e;
            }
        }
        return loaded;
    }

    @Override
    public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int asked = 0;
        int taken;
        for (int first = 0; first < states; first += taken) {
            taken = pass.take(hidden, first, states);
            int from = asked;
            while (asked < count && questions[asked].state() < first + taken) {
                asked++;
            }
            pass.ask(questions, from, asked);
            if (chosen != null) {
                pass.gather(chosen);
            }
        }
        pool.release(pass);
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        Pool<HeadPass> pool = passes();
        HeadPass pass = pool.acquire();
        int taken;
        for (int first = 0; first < states; first += taken) {
            taken = pass.take(hidden, first, states);
            pass.write(target);
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
