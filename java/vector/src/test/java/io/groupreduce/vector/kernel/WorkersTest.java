package io.groupreduce.vector.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;

class WorkersTest {
    @Test
    void everyTaskRunsOnce() {
        for (int threads = 1; threads <= 4; threads++) {
            try (Workers workers = new Workers(threads)) {
                for (int tasks : new int[] {0, 1, 2, 1000}) {
                    AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
                    workers.run(tasks, (task, worker) -> {
                        assertTrue(worker >= 0 && worker < workers.count(), "worker " + worker);
                        runs.incrementAndGet(task);
                    });
                    for (int t = 0; t < tasks; t++) {
                        assertEquals(1, runs.get(t), "task " + t + " of " + tasks + ", " + threads + " threads");
                    }
                }
            }
        }
    }

    @Test
    void anExceptionReachesTheCallerAndThePoolGoesOn() {
        try (Workers workers = new Workers(3)) {
            RuntimeException planted = new IllegalArgumentException("planted");
            RuntimeException caught = assertThrows(
                    IllegalArgumentException.class,
                    () -> workers.run(100, (task, worker) -> {
                        if (task == 50) {
                            throw planted;
                        }
                    }));
            assertSame(planted, caught);
            AtomicIntegerArray runs = new AtomicIntegerArray(10);
            workers.run(10, (task, worker) -> runs.incrementAndGet(task));
            assertEquals(1, runs.get(9));
        }
    }

    @Test
    void anInterruptedCallerStillGetsTheWholeResult() {
        try (Workers workers = new Workers(2)) {
            AtomicIntegerArray runs = new AtomicIntegerArray(500);
            Thread.currentThread().interrupt();
            workers.run(500, (task, worker) -> runs.incrementAndGet(task));
            assertTrue(Thread.interrupted(), "the interrupt is passed on");
            for (int t = 0; t < 500; t++) {
                assertEquals(1, runs.get(t));
            }
        }
    }

    @Test
    void closingTwiceIsHarmlessAndAClosedPoolSaysSo() {
        Workers workers = new Workers(2);
        workers.close();
        workers.close();
        assertThrows(IllegalStateException.class, () -> workers.run(2, (task, worker) -> {}));
    }
}
