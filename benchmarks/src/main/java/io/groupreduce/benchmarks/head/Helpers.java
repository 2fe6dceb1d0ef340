package io.groupreduce.benchmarks.head;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * The threads of a peer's Java part: the caller and some helpers. Between two jobs a helper spins for a moment before it falls
 * asleep, since waking it up takes longer than a small job.
 */
final class Helpers implements AutoCloseable {
    private static final int SPINS = 2000;

    private final int threads;
    private final Thread[] helpers;
    private final AtomicInteger running = new AtomicInteger();
    private IntConsumer job;
    private volatile int jobs;
    private volatile boolean closed;
    private volatile RuntimeException failure;

    /** @param threads the caller's included */
    Helpers(int threads) {
        this.threads = threads;
        this.helpers = new Thread[threads - 1];
        for (int h = 0; h < helpers.length; h++) {
            int part = h + 1;
            helpers[h] =
                    Thread.ofPlatform().daemon().name("peer helper " + part).start(() -> help(part));
        }
    }

    int threads() {
        return threads;
    }

    /** Runs part 0 to threads - 1, each in a thread of its own, and waits for all. */
    void run(IntConsumer part) {
        running.set(helpers.length);
        job = part;
        jobs++;
        for (Thread helper : helpers) {
            LockSupport.unpark(helper);
        }
        part.accept(0);
        while (running.get() > 0) {
            Thread.onSpinWait();
        }
        if (failure != null) {
            throw failure;
        }
    }

    private void help(int part) {
        int done = 0;
        while (await(done)) {
            done++;
            try {
                job.accept(part);
            } catch (RuntimeException e) {
                failure = e;
            } finally {
                running.decrementAndGet();
            }
        }
    }

    /** Whether there is another job after so many. */
    private boolean await(int done) {
        for (int spins = 0; jobs == done && !closed; spins++) {
            if (spins < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
        return !closed;
    }

    @Override
    public void close() {
        closed = true;
        for (Thread helper : helpers) {
            LockSupport.unpark(helper);
        }
    }
}
