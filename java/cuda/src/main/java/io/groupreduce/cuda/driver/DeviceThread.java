package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * The one thread that talks to a device: the driver's current context belongs to a thread of the operating system. Both sides look for the
 * other for some microseconds before they sleep, because waking up costs more than answering a small query.
 */
final class DeviceThread {
    private static final long SPIN_NANOS = Runtime.getRuntime().availableProcessors() > 1 ? 50_000 : 0;

    // What a C program's main thread has: the driver compiles kernels on this thread where the card is newer than they
    // are.
    private static final long STACK_BYTES = 8 << 20;

    private final String name;
    private final Queue<Task<?>> queue = new ConcurrentLinkedQueue<>();
    private final Thread thread;
    private volatile boolean sleeping;
    private volatile boolean stopped;

    DeviceThread(String name) {
        this.name = name;
        thread = Thread.ofPlatform()
                .name(name)
                .daemon(true)
                .stackSize(STACK_BYTES)
                .start(this::work);
    }

    /** Whether the caller is this thread. */
    boolean isCurrent() {
        return Thread.currentThread() == thread;
    }

    /**
     * Runs the work on this thread and waits for it, whether the caller is interrupted or not: what a card does cannot be abandoned half-way.
     * An interruption stays noted in the caller. What the work throws, the caller gets.
     */
    <T> T call(Supplier<T> work) {
        if (isCurrent()) {
            if (stopped) {
                throw closed();
            }
            return work.get();
        }
        Task<T> task = new Task<>(work);
        if (!submit(task)) {
            throw closed();
        }
        return task.await();
    }

    /** The same for work that is not needed once the thread has stopped. */
    void runUnlessStopped(Runnable work) {
        if (isCurrent()) {
            if (!stopped) {
                work.run();
            }
            return;
        }
        Task<Void> task = new Task<>(() -> {
            work.run();
            return null;
        });
        task.optional = true;
        if (submit(task)) {
            task.await();
        }
    }

    /** Lets the work in progress and this last one finish; nothing runs afterwards. Calling it again does nothing. */
    void stop(Runnable last) {
        runUnlessStopped(() -> {
            try {
                last.run();
            } finally {
                stopped = true;
            }
        });
    }

    private boolean submit(Task<?> task) {
        if (stopped) {
            return false;
        }
        queue.add(task);
        if (sleeping) {
            LockSupport.unpark(thread);
        }
        // Either the thread still saw the task when it emptied the queue at its end, or it is taken back here.
        return !stopped || !queue.remove(task);
    }

    private void work() {
        while (!stopped) {
            next().run();
        }
        for (Task<?> task = queue.poll(); task != null; task = queue.poll()) {
            task.refuse(closed());
        }
    }

    private Task<?> next() {
        long until = System.nanoTime() + SPIN_NANOS;
        while (true) {
            Task<?> task = queue.poll();
            if (task != null) {
                return task;
            }
            if (System.nanoTime() - until < 0) {
                Thread.onSpinWait();
            } else {
                sleeping = true;
                if (queue.isEmpty()) {
                    LockSupport.park(this);
                }
                sleeping = false;
            }
        }
    }

    private DeviceException closed() {
        return new DeviceException("The GPU " + name + " is closed already; open it again to use it.");
    }

    /** One piece of work and what came of it. */
    private static final class Task<T> {
        private final Supplier<T> work;
        private final Thread caller = Thread.currentThread();
        private boolean optional;
        private T result;
        private Throwable failure;
        private volatile boolean waiting;
        private volatile boolean done;

        Task(Supplier<T> work) {
            this.work = work;
        }

        void run() {
            try {
                result = work.get();
            } catch (Throwable e) {
                failure = e;
            }
            finish();
        }

        void refuse(DeviceException closed) {
            failure = optional ? null : closed;
            finish();
        }

        private void finish() {
            done = true;
            if (waiting) {
                LockSupport.unpark(caller);
            }
        }

        T await() {
            long until = System.nanoTime() + SPIN_NANOS;
            while (!done && System.nanoTime() - until < 0) {
                Thread.onSpinWait();
            }
            waiting = true;
            boolean interrupted = false;
            while (!done) {
                LockSupport.park(this);
                interrupted |= Thread.interrupted();
            }
            if (interrupted) {
                caller.interrupt();
            }
            if (failure instanceof RuntimeException) {
                throw (RuntimeException) failure;
            }
            if (failure != null) {
                // A supplier throws nothing checked.
                throw (Error) failure;
            }
            return result;
        }
    }
}
