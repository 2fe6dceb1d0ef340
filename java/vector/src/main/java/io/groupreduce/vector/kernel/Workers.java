package io.groupreduce.vector.kernel;

import io.groupreduce.api.Threads;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Threads that share out the numbered tasks of a job; the calling thread takes part. Who runs a task is open, so a task may depend on its
 * number only: that is how results come out the same whatever the number of threads.
 *
 * <p>Helpers enter a job while it is open. The caller shuts it when no task is left and waits for those inside, never for one that might
 * still come: threads that wake up late and executors that are busy hold nobody up. There is one job at a time, so its state are
 * fields, and sharing allocates nothing.
 */
public final class Workers implements AutoCloseable {
    /** Runs everything on the calling thread; for use inside a task. */
    public static final Workers NONE = new Workers(1);

    /** Steps of waiting awake, some tens of microseconds, for the next job or the end of one, before a thread lies down. */
    private static final int SPINS = 500;

    /** What is added to {@link #inside} while nobody may enter. */
    private static final int SHUT = Integer.MIN_VALUE;

    /** A numbered task; {@code worker} (0 .. count - 1) tells whose scratch memory it may use. */
    @FunctionalInterface
    public interface Task {
        void run(int task, int worker);
    }

    private final int count;
    /** {@code null} for threads of its own. */
    private final Executor executor;

    private final Runnable helper = this::help;
    private final ReentrantLock oneJobAtATime = new ReentrantLock();
    private final Object bell = new Object();
    private boolean started;
    private volatile boolean closed;

    /** How many helpers are in the job. */
    private final AtomicInteger inside = new AtomicInteger(SHUT);
    /** The first task that nobody has taken. */
    private final AtomicInteger next = new AtomicInteger();
    /** How many helpers from the executor came to the job. */
    private final AtomicInteger arrived = new AtomicInteger();
    /** What the executor was given and has not begun: kept low, or a busy pool's queue would fill with calls for help. */
    private final AtomicInteger queued = new AtomicInteger();

    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private Task task;
    private int tasks;
    private Thread caller;

    public Workers(Threads threads) {
        count = threads.count();
        executor = threads.executor().orElse(null);
    }

    /** {@code count - 1} threads of its own; they start with the first job that is shared out. */
    public Workers(int count) {
        this(Threads.own(count));
    }

    /** How many threads take part, and one more than the highest worker number. */
    public int count() {
        return count;
    }

    /**
     * Runs tasks {@code 0 .. tasks - 1} and returns when all are done. The first exception of a task stops those not yet
     * started and is thrown here.
     */
    public void run(int tasks, Task task) {
        if (count == 1 || tasks <= 1) {
            alone(tasks, task);
        } else {
            oneJobAtATime.lock();
            share(tasks, task);
        }
    }

    /**
     * Like {@link #run}, but if the threads are busy with another caller's job the calling thread does all tasks itself, as worker 0,
     * instead of waiting for them: many callers get more done side by side.
     */
    public void runOrAlone(int tasks, Task task) {
        if (count > 1 && tasks > 1 && oneJobAtATime.tryLock()) {
            share(tasks, task);
        } else {
            alone(tasks, task);
        }
    }

    private static void alone(int tasks, Task task) {
        for (int t = 0; t < tasks; t++) {
            task.run(t, 0);
        }
    }

    /** Runs a job; the caller holds the lock, which is given up here. */
    private void share(int number, Task job) {
        try {
            if (closed) {
                throw new IllegalStateException("the vector backend is closed");
            }
            task = job;
            tasks = number;
            caller = Thread.currentThread();
            failure.set(null);
            arrived.set(0);
            next.set(0);
            inside.set(0);
            try {
                callHelpers();
                work(0);
            } finally {
                shut();
            }
            rethrow(failure.get());
        } finally {
            oneJobAtATime.unlock();
        }
    }

    private void callHelpers() {
        if (executor == null) {
            startThreads();
            synchronized (bell) {
                bell.notifyAll();
            }
            return;
        }
        int wanted = Math.min(count, tasks) - 1;
        for (int i = queued.get(); i < wanted; i++) {
            boolean taken = false;
            queued.incrementAndGet();
            try {
                executor.execute(helper);
                taken = true;
            } catch (RejectedExecutionException e) {
                return;
            } finally {
                if (!taken) {
                    queued.decrementAndGet();
                }
            }
        }
    }

    private void startThreads() {
        if (!started) {
            started = true;
            for (int i = 1; i < count; i++) {
                int worker = i;
                Thread.ofPlatform()
                        .daemon()
                        .name("groupreduce-vector-" + worker)
                        .inheritInheritableThreadLocals(false)
                        .start(() -> serve(worker));
            }
        }
    }

    /** A thread of its own. */
    private void serve(int worker) {
        while (true) {
            for (int i = 0; i < SPINS && !closed && !hasTasks(); i++) {
                Thread.onSpinWait();
            }
            synchronized (bell) {
                while (!closed && !hasTasks()) {
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
            }
            if (enter()) {
                work(worker);
                leave();
            }
        }
    }

    /** On a thread of the executor, for the job that is open by then, if any. */
    private void help() {
        queued.decrementAndGet();
        if (enter()) {
            int worker = arrived.incrementAndGet();
            // One who was called for an earlier job may come beside all that were called for this one.
            if (worker < count) {
                work(worker);
            }
            leave();
        }
    }

    private boolean hasTasks() {
        return inside.get() >= 0 && next.get() < tasks;
    }

    private boolean enter() {
        int helpers = inside.get();
        while (helpers >= 0) {
            if (inside.compareAndSet(helpers, helpers + 1)) {
                return true;
            }
            helpers = inside.get();
        }
        return false;
    }

    private void leave() {
        Thread waiting = caller;
        if (inside.decrementAndGet() == SHUT) {
            LockSupport.unpark(waiting);
        }
    }

    private void work(int worker) {
        try {
            for (int t = next.getAndIncrement(); t < tasks; t = next.getAndIncrement()) {
                task.run(t, worker);
            }
        } catch (Throwable e) {
            failure.compareAndSet(null, e);
            next.set(tasks);
        }
    }

    /** Lets nobody enter and waits for those inside. */
    private void shut() {
        inside.addAndGet(SHUT);
        // Their last tasks are short: waking up from a wait would take longer than they do.
        for (int i = 0; i < SPINS && inside.get() != SHUT; i++) {
            Thread.onSpinWait();
        }
        boolean interrupted = false;
        while (inside.get() != SHUT) {
            LockSupport.park(this);
            interrupted |= Thread.interrupted();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        task = null;
        caller = null;
    }

    private static void rethrow(Throwable e) {
        if (e instanceof RuntimeException unchecked) {
            throw unchecked;
        }
        if (e instanceof Error error) {
            throw error;
        }
    }

    /** Ends the threads after the job at hand; calling it again does nothing. */
    @Override
    public void close() {
        oneJobAtATime.lock();
        try {
            synchronized (bell) {
                closed = true;
                bell.notifyAll();
            }
        } finally {
            oneJobAtATime.unlock();
        }
    }
}
