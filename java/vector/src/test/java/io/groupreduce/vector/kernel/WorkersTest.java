package io.groupreduce.vector.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.groupreduce.api.Threads;
import java.lang.management.ManagementFactory;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WorkersTest {
    private static final Executor REFUSING = task -> {
        throw new RejectedExecutionException("full");
    };

    private final ExecutorService pool = Executors.newFixedThreadPool(2);

    @AfterEach
    void end() {
        pool.shutdownNow();
    }

    private Threads[] kinds() {
        return new Threads[] {
            Threads.calling(),
            Threads.own(2),
            Threads.own(4),
            Threads.of(pool, 1),
            Threads.of(pool, 5),
            Threads.of(ForkJoinPool.commonPool(), 3),
            Threads.of(Thread::startVirtualThread, 3),
            Threads.of(Runnable::run, 2),
            Threads.of(REFUSING, 2),
        };
    }

    private static void requireEachOnce(Workers workers, int tasks) {
        AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
        workers.run(tasks, (task, worker) -> {
            assertTrue(worker >= 0 && worker < workers.count(), "worker " + worker);
            runs.incrementAndGet(task);
        });
        for (int t = 0; t < tasks; t++) {
            assertEquals(1, runs.get(t), "task " + t + " of " + tasks + ", " + workers.count() + " threads");
        }
    }

    @Test
    void everyTaskRunsOnce() {
        for (Threads threads : kinds()) {
            try (Workers workers = new Workers(threads)) {
                for (int tasks : new int[] {0, 1, 2, 1000}) {
                    requireEachOnce(workers, tasks);
                }
            }
        }
    }

    /** Two at a time with the same number would write over each other's scratch memory. */
    @Test
    void aWorkersNumberIsThatOfOneThreadAtATime() {
        for (Threads threads : kinds()) {
            try (Workers workers = new Workers(threads)) {
                AtomicLongArray holders = new AtomicLongArray(workers.count());
                AtomicInteger met = new AtomicInteger();
                for (int job = 0; job < 200; job++) {
                    workers.run(50, (task, worker) -> {
                        long me = Thread.currentThread().threadId();
                        met.addAndGet(holders.compareAndSet(worker, 0, me) ? 0 : 1);
                        Thread.onSpinWait();
                        holders.set(worker, 0);
                    });
                }
                assertEquals(0, met.get());
            }
        }
    }

    @Test
    void anExceptionReachesTheCallerAndThePoolGoesOn() {
        for (Threads threads : kinds()) {
            try (Workers workers = new Workers(threads)) {
                RuntimeException planted = new IllegalArgumentException("planted");
                RuntimeException caught = assertThrows(
                        IllegalArgumentException.class,
                        () -> workers.run(100, (task, worker) -> {
                            if (task == 50) {
                                throw planted;
                            }
                        }));
                assertSame(planted, caught);
                requireEachOnce(workers, 10);
            }
        }
    }

    @Test
    void anExceptionOfAHelperReachesTheCaller() {
        for (Threads threads : new Threads[] {Threads.own(2), Threads.of(pool, 1)}) {
            try (Workers workers = new Workers(threads)) {
                CountDownLatch helped = new CountDownLatch(1);
                assertThrows(
                        StackOverflowError.class,
                        () -> workers.run(2, (task, worker) -> {
                            if (worker == 0) {
                                await(helped);
                            } else {
                                helped.countDown();
                                throw new StackOverflowError("planted");
                            }
                        }));
                requireEachOnce(workers, 10);
            }
        }
    }

    @Test
    void anInterruptedCallerStillGetsTheWholeResult() {
        for (Threads threads : kinds()) {
            try (Workers workers = new Workers(threads)) {
                Thread.currentThread().interrupt();
                requireEachOnce(workers, 500);
                assertTrue(Thread.interrupted(), "the interrupt is passed on");
            }
        }
    }

    /** The caller has nothing left to do and lies down; an interrupt does not send it off early. */
    @Test
    void aHelpersLastTaskIsWaitedFor() {
        for (Threads threads : new Threads[] {Threads.own(2), Threads.of(pool, 1)}) {
            try (Workers workers = new Workers(threads)) {
                CountDownLatch helping = new CountDownLatch(1);
                AtomicBoolean done = new AtomicBoolean();
                workers.run(2, (task, worker) -> {
                    if (worker == 0) {
                        await(helping);
                        Thread.currentThread().interrupt();
                    } else {
                        helping.countDown();
                        sleep(50);
                        done.set(true);
                    }
                });
                assertTrue(done.get());
                assertTrue(Thread.interrupted(), "the interrupt is passed on");
            }
        }
    }

    @Test
    void nobodyWaitsForAnExecutorThatIsBusy() throws Exception {
        try (ExecutorService single = Executors.newSingleThreadExecutor();
                Workers workers = new Workers(Threads.of(single, 3))) {
            // The pool's only thread is the caller.
            single.submit(() -> requireEachOnce(workers, 100)).get();
            // Somebody else has it.
            CountDownLatch over = new CountDownLatch(1);
            single.execute(() -> await(over));
            requireEachOnce(workers, 100);
            over.countDown();
        }
    }

    @Test
    void aBusyExecutorsQueueDoesNotFillAndWhoComesLateFindsNothing() {
        Queue<Runnable> queue = new ArrayDeque<>();
        Workers workers = new Workers(Threads.of(queue::add, 3));
        for (int job = 0; job < 100; job++) {
            requireEachOnce(workers, 10);
        }
        assertEquals(3, queue.size());
        queue.remove().run();
        requireEachOnce(workers, 10);
        assertEquals(3, queue.size(), "one was called in its place");
        workers.close();
        queue.forEach(Runnable::run);
    }

    @Test
    void anExecutorThatWasShutDownIsNoError() {
        pool.shutdown();
        try (Workers workers = new Workers(Threads.of(pool, 2))) {
            requireEachOnce(workers, 100);
        }
    }

    @Test
    void threadsStartWithTheFirstJobThatIsSharedOut() throws Exception {
        long before = ownThreads();
        Workers workers = new Workers(4);
        requireEachOnce(workers, 1);
        assertEquals(before, ownThreads());
        requireEachOnce(workers, 2);
        assertEquals(before + 3, ownThreads());
        workers.close();
        for (int wait = 0; wait < 1000 && ownThreads() > before; wait++) {
            Thread.sleep(5);
        }
        assertEquals(before, ownThreads());
        new Workers(64).close();
        assertEquals(before, ownThreads());
    }

    @Test
    void sharingAllocatesNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Workers.Task nothing = (task, worker) -> {};
        try (Workers workers = new Workers(2)) {
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 50 && least > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int job = 0; job < 100; job++) {
                    workers.run(8, nothing);
                }
                least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
            }
            assertTrue(least < 100, least + " bytes in 100 jobs");
        }
    }

    private static long ownThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("groupreduce-vector-"))
                .count();
    }

    @Test
    void closingWaitsForTheJobAtHand() throws Exception {
        for (Threads threads : new Threads[] {Threads.own(2), Threads.of(pool, 1)}) {
            Workers workers = new Workers(threads);
            CountDownLatch begun = new CountDownLatch(1);
            AtomicInteger done = new AtomicInteger();
            Thread asking = Thread.ofPlatform()
                    .start(() -> workers.run(2, (task, worker) -> {
                        begun.countDown();
                        sleep(50);
                        done.incrementAndGet();
                    }));
            assertTrue(begun.await(10, TimeUnit.SECONDS));
            workers.close();
            assertEquals(2, done.get());
            asking.join();
        }
    }

    @Test
    void closingTwiceIsHarmlessAndAClosedPoolSaysSo() {
        for (Threads threads : new Threads[] {Threads.own(2), Threads.of(pool, 1)}) {
            Workers workers = new Workers(threads);
            workers.close();
            workers.close();
            assertThrows(IllegalStateException.class, () -> workers.run(2, (task, worker) -> {}));
        }
    }

    @Test
    void whoFindsTheThreadsBusyWorksAlone() {
        try (Workers workers = new Workers(Threads.of(pool, 1))) {
            AtomicInteger asFirst = new AtomicInteger();
            workers.run(2, (task, worker) -> {
                CountDownLatch over = new CountDownLatch(1);
                Thread.ofPlatform().start(() -> {
                    workers.runOrAlone(3, (t, w) -> asFirst.addAndGet(w == 0 ? 1 : 100));
                    over.countDown();
                });
                await(over);
            });
            assertEquals(2 * 3, asFirst.get());
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            assertTrue(latch.await(10, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void sleep(int milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
