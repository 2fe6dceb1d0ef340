package io.groupreduce.vector.kernel;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A fixed pool of threads that share out numbered tasks; the calling thread takes part. Who runs a task is open, so a task
 * may depend on its number only: that is how results come out the same whatever the number of threads.
 */
public final class Workers implements AutoCloseable {
    /** Runs everything on the calling thread; for use inside a task. */
    public static final Workers NONE = new Workers(1);

    /** Steps of waiting awake, some tens of microseconds, for the next job or the end of one, before a thread lies down. */
    private static final int SPINS = 500;

    /** A numbered task; {@code worker} (0 .. count - 1) tells whose scratch memory it may use. */
    @FunctionalInterface
    public interface Task {
        void run(int task, int worker);
    }

    private final Thread[] threads;
    private final ReentrantLock oneJobAtATime = new ReentrantLock();
    private final Object bell = new Object();
    private volatile Job job;
    private volatile boolean closed;

    /** Starts {@code count - 1} threads; the caller of {@link #run} is the last one. */
    public Workers(int count) {
        threads = new Thread[count - 1];
        for (int i = 0; i < threads.length; i++) {
            int worker = i + 1;
            threads[i] = Thread.ofPlatform()
                    .daemon()
                    .name("groupreduce-vector-" + worker)
                    .unstarted(() -> serve(worker));
        }
        for (Thread thread : threads) {
            thread.start();
        }
    }

    /** How many threads take part, and one more than the highest worker number. */
    public int count() {
        return threads.length + 1;
    }

    /**
     * Runs tasks {@code 0 .. tasks - 1} and returns when all are done. The first exception of a task stops those not yet
     * started and is thrown here.
     */
    public void run(int tasks, Task task) {
        if (tasks == 0) {
            return;
        }
        if (threads.length == 0 || tasks == 1) {
            for (int t = 0; t < tasks; t++) {
                task.run(t, 0);
            }
            return;
        }
        oneJobAtATime.lock();
        share(tasks, task);
    }

    /**
     * Like {@link #run}, but if the threads are busy with another caller's job the calling thread does all tasks itself, as worker 0,
     * instead of waiting for them: many callers get more done side by side.
     */
    public void runOrAlone(int tasks, Task task) {
        if (threads.length > 0 && tasks > 1 && oneJobAtATime.tryLock()) {
            share(tasks, task);
            return;
        }
        for (int t = 0; t < tasks; t++) {
            task.run(t, 0);
        }
    }

    /** Runs a job on all threads; the caller holds the lock, which is given up here. */
    private void share(int tasks, Task task) {
        try {
            if (closed) {
                throw new IllegalStateException("the vector backend is closed");
            }
            Job next = new Job(tasks, task, threads.length);
            synchronized (bell) {
                job = next;
                bell.notifyAll();
            }
            next.work(0);
            next.awaitOthers();
            next.rethrow();
        } finally {
            oneJobAtATime.unlock();
        }
    }

    private void serve(int worker) {
        Job last = null;
        while (true) {
            for (int i = 0; i < SPINS && job == last && !closed; i++) {
                Thread.onSpinWait();
            }
            synchronized (bell) {
                while (job == last && !closed) {
                    try {
                        bell.wait();
                    } catch (InterruptedException e) {
                        // Nobody interrupts these threads on purpose; close() is how they end.
                        continue;
                    }
                }
                if (closed) {
                    return;
                }
                last = job;
            }
            last.work(worker);
            last.left.countDown();
        }
    }

    /** Ends the threads after the job at hand; calling it again does nothing. */
    @Override
    public void close() {
        oneJobAtATime.lock();
        try {
            synchronized (bell) {
                closed = true;
                job = null;
                bell.notifyAll();
            }
        } finally {
            oneJobAtATime.unlock();
        }
    }

    private static final class Job {
        private final int tasks;
        private final Task task;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicReference<Throwable> failure = new AtomicReference<>();
        private final CountDownLatch left;

        Job(int tasks, Task task, int others) {
            this.tasks = tasks;
            this.task = task;
            this.left = new CountDownLatch(others);
        }

        void work(int worker) {
            try {
                for (int t = next.getAndIncrement(); t < tasks; t = next.getAndIncrement()) {
                    task.run(t, worker);
                }
            } catch (Throwable e) {
                failure.compareAndSet(null, e);
                next.set(tasks);
            }
        }

        void awaitOthers() {
            // The others' last tasks are short: waking up from a wait would take longer than they do.
            for (int i = 0; i < SPINS && left.getCount() > 0; i++) {
                Thread.onSpinWait();
            }
            boolean interrupted = false;
            while (true) {
                try {
                    left.await();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }

        void rethrow() {
            Throwable e = failure.get();
            if (e instanceof RuntimeException unchecked) {
                throw unchecked;
            }
            if (e instanceof Error error) {
                throw error;
            }
        }
    }
}
