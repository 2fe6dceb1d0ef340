package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * Which threads of the processor a backend may use. The thread that asks always takes part, and answers are the same whoever else does.
 * Immutable.
 */
public final class Threads {
    private static final Threads CALLING = new Threads(1, null);

    private final int count;
    private final Executor executor;

    private Threads(int count, Executor executor) {
        this.count = count;
        this.executor = executor;
    }

    /**
     * The calling thread and {@code count - 1} of the backend's own, which start when there is first something to share out and end with
     * the backend.
     *
     * @param count at least 1
     */
    public static Threads own(int count) {
        if (count < 1) {
            throw new InvalidOptionException("The number of threads is " + count + "; give at least 1.");
        }
        return count == 1 ? CALLING : new Threads(count, null);
    }

    /**
     * The calling thread and whoever runs tasks of this executor, which stays the caller's. Nobody waits for a task that the executor has not
     * begun: a pool that is busy, has one thread or refuses a task only leaves more to the calling thread, which may be the pool's
     * own. A backend never has more than {@code beside} tasks at the executor.
     *
     * @param executor may be a thread's pool of any kind; it should run or refuse what it is given, and not drop it
     * @param beside how many tasks may run beside the calling thread, at least 1
     */
    public static Threads of(Executor executor, int beside) {
        Objects.requireNonNull(executor, "executor");
        if (beside < 1 || beside == Integer.MAX_VALUE) {
            throw new InvalidOptionException("The number of tasks beside the calling thread is " + beside
                    + "; give at least 1, or take Threads.calling().");
        }
        return new Threads(beside + 1, executor);
    }

    /** The calling thread alone. */
    public static Threads calling() {
        return CALLING;
    }

    /** How many threads may take part, the calling one among them. */
    public int count() {
        return count;
    }

    /** Where the others come from; empty if they are the backend's own, or there are none. */
    public Optional<Executor> executor() {
        return Optional.ofNullable(executor);
    }

    /** Whether both stand for as many threads of the same origin. */
    @Override
    public boolean equals(Object other) {
        return other instanceof Threads threads && count == threads.count && Objects.equals(executor, threads.executor);
    }

    @Override
    public int hashCode() {
        return Objects.hash(count, executor);
    }

    @Override
    public String toString() {
        return count == 1
                ? "the calling thread"
                : executor == null ? count + " threads" : "the calling thread and " + (count - 1) + " of " + executor;
    }
}
