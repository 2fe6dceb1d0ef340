package io.groupreduce;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceProblem;
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

    private final String kind;
    private final CompressedMatrix matrix;
    private final String device;
    private final InferenceSession session;
    private final Backend ownBackend;
    private final CompressedFile ownFile;
    private final StampedLock lock = new StampedLock();
    private final AtomicReferenceArray<Query> pool = new AtomicReferenceArray<>(POOLED);
    private boolean closed;

    private LoadedMatrix(
            String kind, InferenceProblem problem, Backend backend, Backend ownBackend, CompressedFile ownFile) {
        this.kind = kind;
        this.matrix = problem.matrix();
        this.device = backend.name() + ": " + backend.description();
        this.session = backend.load(problem);
        this.ownBackend = ownBackend;
        this.ownFile = ownFile;
    }

    /** Loads a matrix that the caller owns into a backend that the caller owns; {@code kind} is what messages call it. */
    static LoadedMatrix of(String kind, Backend backend, InferenceProblem problem) {
        return new LoadedMatrix(kind, problem, backend, null, null);
    }

    /**
     * Maps a file and loads one of its matrices.
     *
     * @param shared a backend that the caller owns; {@code null} for one of its own, by the options
     * @param choose finds the matrix
     */
    static LoadedMatrix open(
            String kind,
            Path path,
            Backend shared,
            HeadOptions options,
            Function<CompressedFile, InferenceProblem> choose) {
        CompressedFile file = CompressedFile.open(path);
        Backend own = null;
        try {
            InferenceProblem problem = choose.apply(file);
            if (shared == null) {
                own = BackendSelection.select(options.device(), options.threads())
                        .backend();
            }
            return new LoadedMatrix(kind, problem, shared == null ? own : shared, own, file);
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

    /** The backend in one line. */
    String device() {
        return device;
    }

    InferenceSession session() {
        return session;
    }

    /** @throws InvalidDataException naming the first of {@code count} tokens that is outside the vocabulary */
    void requireTokens(int[] tokens, int count) {
        for (int i = 0; i < count; i++) {
            if (tokens[i] < 0 || tokens[i] >= matrix.rows()) {
                throw new InvalidDataException("The token at index " + i + " is " + tokens[i] + ", but '"
                        + matrix.name() + "' has only tokens 0 to " + (matrix.rows() - 1) + ".");
            }
        }
    }

    /**
     * Begins a query; {@link Query#close} ends it.
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
        Query query = null;
        try {
            query = pooled();
            return query.begin(stamp);
        } finally {
            if (query == null) {
                lock.unlockRead(stamp);
            }
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
        return new Query(this);
    }

    /** Takes scratch memory back and lets {@link #close} go on. */
    void end(Query query, long stamp) {
        int first = firstSlot();
        for (int i = 0; i < POOLED && query.keepable(); i++) {
            if (pool.compareAndSet((first + i) % POOLED, null, query)) {
                break;
            }
        }
        lock.unlockRead(stamp);
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
                closeParts();
            }
        } finally {
            lock.unlockWrite(stamp);
        }
    }

    private void closeParts() {
        for (int slot = 0; slot < POOLED; slot++) {
            pool.set(slot, null);
        }
        try {
            session.close();
        } finally {
            try {
                if (ownBackend != null) {
                    ownBackend.close();
                }
            } finally {
                if (ownFile != null) {
                    ownFile.close();
                }
            }
        }
    }
}
