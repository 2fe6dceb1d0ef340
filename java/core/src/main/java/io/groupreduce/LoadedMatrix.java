package io.groupreduce;

import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.MappedFiles;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceSession;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.StampedLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * What a softmax head and an embedding table have in common: a compressed matrix loaded into a backend, what must be closed with
 * it, and the scratch memory of its queries. Queries hold a read lock, {@link #close} takes the write lock and so waits for them.
 * At most {@link #POOLED} queries keep their scratch memory, so that it stays bounded whatever the number of threads.
 */
final class LoadedMatrix implements AutoCloseable {
    private static final int POOLED = 16;

    /** Numbers of an array that is kept for the next query: 8 MiB of floats. Longer ones are rare and costly to hold. */
    static final int MOST_KEPT = 2 << 20;

    private final String kind;
    private final CompressedMatrix matrix;
    private final float scale;
    private final float largest;
    private final TokenRange range;
    private final double tolerance;
    private final String device;
    private final InferenceSession session;
    private final Backend ownBackend;
    private final CompressedFile ownFile;
    private final StampedLock lock = new StampedLock();
    private final AtomicReferenceArray<Query> pool = new AtomicReferenceArray<>(POOLED);
    private boolean closed;

    private LoadedMatrix(String kind, Wanted wanted, Backend backend, Backend ownBackend, CompressedFile ownFile) {
        this.kind = kind;
        this.matrix = wanted.problem().matrix();
        this.scale = wanted.scale();
        this.largest = wanted.largest();
        this.range = wanted.range();
        this.tolerance = wanted.tolerance();
        this.session = MappedFiles.reading(
                () -> new GuardedSession(ComputeBackend.of(backend).load(wanted.problem())));
        // Not before: a GPU that has no room for it has left it to the CPU.
        this.device = backend.name() + ": " + backend.description();
        this.ownBackend = ownBackend;
        this.ownFile = ownFile;
    }

    /** Loads a matrix that the caller owns into a backend that the caller owns; {@code kind} is what messages call it. */
    static LoadedMatrix of(String kind, Backend backend, Wanted wanted) {
        return new LoadedMatrix(kind, wanted, backend, null, null);
    }

    /**
     * Maps a file and loads one of its matrices.
     *
     * @param shared a backend that the caller owns; {@code null} for one of its own, by the options
     * @param choose finds the matrix
     */
    static LoadedMatrix open(
            String kind, Path path, Backend shared, HeadOptions options, Function<CompressedFile, Wanted> choose) {
        CompressedFile file = CompressedFile.open(path);
        Backend own = null;
        try {
            Wanted wanted = choose.apply(file);
            if (shared == null) {
                own = BackendSelection.select(options);
            }
            return new LoadedMatrix(kind, wanted, shared == null ? own : shared, own, file);
        } catch (Throwable e) {
            try (file) {
                if (own != null) {
                    own.close();
                }
            }
            throw e;
        }
    }

    /**
     * The matrix that the options name, else the one of the role.
     *
     * @throws InvalidDataException if there is none
     */
    static CompressedMatrix choose(CompressedFile file, HeadOptions options, Supplier<CompressedMatrix> ofRole) {
        if (options.tensor().isPresent()) {
            return file.require(options.tensor().get());
        }
        try {
            return ofRole.get();
        } catch (InvalidDataException e) {
            throw new InvalidDataException(e.getMessage() + " HeadOptions.withTensor takes the name.", e);
        }
    }

    CompressedMatrix matrix() {
        return matrix;
    }

    /** Which tokens there are. */
    TokenRange range() {
        return range;
    }

    /** The most that leaving work out may change a log-sum-exp, in nats. */
    double tolerance() {
        return tolerance;
    }

    /** What hidden states are multiplied by. */
    float scale() {
        return scale;
    }

    /** The backend in one line. */
    String device() {
        return device;
    }

    /** @throws InvalidDataException naming the first of {@code count} tokens that is outside the vocabulary */
    void requireTokens(int[] tokens, int count) {
        for (int i = 0; i < count; i++) {
            if (tokens[i] < 0 || tokens[i] >= range.vocabulary()) {
                throw new InvalidDataException("The token at index " + i + " is " + tokens[i] + ", but '"
                        + matrix.name() + "' has only tokens 0 to " + (range.vocabulary() - 1) + ".");
            }
        }
    }

    /**
     * Begins a query without hidden states; {@link Query#close} ends it.
     *
     * @throws ClosedHeadException after {@link #close}
     */
    Query query() {
        long stamp = lock.readLock();
        if (closed) {
            lock.unlockRead(stamp);
            throw new ClosedHeadException(
                    "The " + kind + " of '" + matrix.name() + "' is closed; open it again to go on.");
        }
        try {
            Query query = pooled();
            query.stamp = stamp;
            return query;
        } catch (Throwable e) {
            lock.unlockRead(stamp);
            throw e;
        }
    }

    /** Begins a query of hidden states. */
    Query query(States hidden) {
        Query query = query();
        try {
            query.take(hidden);
            return query;
        } catch (Throwable e) {
            query.close();
            throw e;
        }
    }

    private Query pooled() {
        int first = firstSlot();
        for (int i = 0; i < POOLED; i++) {
            int slot = (first + i) % POOLED;
            if (pool.getPlain(slot) != null) {
                Query query = pool.getAndSet(slot, null);
                if (query != null) {
                    return query;
                }
            }
        }
        return new Query();
    }

    /** Threads begin their search at different slots, so that they seldom meet. */
    private static int firstSlot() {
        return (int) (Thread.currentThread().threadId() % POOLED);
    }

    /** Waits for running queries, then closes the session and what else is its own; calling it again does nothing. */
    @Override
    public void close() {
        long stamp = lock.writeLock();
        try {
            if (!closed) {
                closed = true;
                for (int slot = 0; slot < POOLED; slot++) {
                    pool.set(slot, null);
                }
                try (ownFile;
                        ownBackend) {
                    session.close();
                }
            }
        } finally {
            lock.unlockWrite(stamp);
        }
    }

    /**
     * A running query: the right to use the matrix, its hidden states, and scratch memory that serves one query after the other. Used
     * by one thread at a time.
     */
    final class Query implements AutoCloseable {
        private long stamp;
        private float[] hidden;
        private int states;
        private float[] copied = {};
        private float[] floats = {};
        private int[] ints = {};
        private Answering answering;

        private void take(States given) {
            int columns = matrix.columns();
            int count = given.count(columns, matrix.name());
            if (given.isPlain(columns)) {
                use(given.array(), count);
            } else {
                copied = room(count * columns);
                if (given.isOnDevice()) {
                    session.fetch(given.onDevice(count, columns), copied);
                } else {
                    given.copyTo(copied, count, columns);
                }
                use(copied, count);
            }
        }

        private void use(float[] values, int count) {
            int length = count * matrix.columns();
            int bad = Finite.firstBeyond(values, 0, length, largest);
            if (bad >= 0) {
                throw refused(values[bad], bad);
            }
            hidden = values;
            states = count;
            if (scale != 1) {
                copied = room(length);
                for (int i = 0; i < length; i++) {
                    copied[i] = values[i] * scale;
                }
                hidden = copied;
            }
        }

        private float[] room(int length) {
            return copied.length < length ? new float[length] : copied;
        }

        private InvalidDataException refused(float number, int at) {
            int state = at / matrix.columns();
            String where = " at index " + at % matrix.columns();
            return new InvalidDataException(
                    Float.isFinite(number)
                            ? "The logits of hidden state " + state + " over '" + matrix.name()
                                    + "' may leave binary32, for" + " it holds " + number + where + "; numbers up to "
                                    + largest + " can be used."
                            : "Hidden state " + state + " holds " + number + where
                                    + "; only finite numbers can be used.");
        }

        /** Scratch of queries that answer requests. */
        Answering answering() {
            answering = answering == null ? new Answering() : answering;
            return answering;
        }

        /** What answers. */
        InferenceSession session() {
            return session;
        }

        /** The hidden states, from index 0 on. */
        float[] hidden() {
            return hidden;
        }

        /** B. */
        int states() {
            return states;
        }

        /** Scratch of at least this length. */
        float[] floats(int length) {
            floats = floats.length < length ? new float[length] : floats;
            return floats;
        }

        /** Scratch of at least this length. */
        int[] ints(int length) {
            ints = ints.length < length ? new int[length] : ints;
            return ints;
        }

        /** Factors, bias and hidden states were finite, so their products were not. */
        InvalidDataException notFinite(int state) {
            return new InvalidDataException("The logits of hidden state " + state + " over '" + matrix.name()
                    + "' are not all finite: its numbers or those of the matrix are too large for binary32, or damaged;"
                    + " check both.");
        }

        /** Gives the scratch back, unless it is too large to be held between queries, and lets {@link LoadedMatrix#close} go on. */
        @Override
        public void close() {
            hidden = null;
            int longest = Math.max(Math.max(copied.length, floats.length), ints.length);
            answering = answering == null || answering.longest() > MOST_KEPT ? null : answering;
            int first = firstSlot();
            for (int i = 0; i < POOLED && longest <= MOST_KEPT; i++) {
                if (pool.compareAndSet((first + i) % POOLED, null, this)) {
                    break;
                }
            }
            lock.unlockRead(stamp);
        }
    }
}
