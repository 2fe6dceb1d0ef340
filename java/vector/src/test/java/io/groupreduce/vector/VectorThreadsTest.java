package io.groupreduce.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.EmbeddingTable;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.Threads;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A backend takes the threads that it was allowed, when it needs them, and answers the same on all of them. */
class VectorThreadsTest {
    private static final int ROWS = 600;
    private static final int COLUMNS = 64;
    private static Arena arena;
    private static CompressedMatrix matrix;

    private final float[] hidden = Generators.powerLaw(5, 3, COLUMNS, 0.3);
    private final int[] tokens = new SplittableRandom(6).ints(3000, 0, ROWS).toArray();

    @BeforeAll
    static void compress() {
        arena = Arena.ofShared();
        try (Backend backend = new VectorBackend(1)) {
            CompressionOptions options =
                    CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.ratio(4));
            matrix = GroupReduce.compress(
                            backend,
                            Generators.matrix(1, ROWS, COLUMNS, 0.3),
                            Generators.zipf(2, ROWS, 1e5),
                            null,
                            options,
                            arena,
                            Progress.NONE)
                    .matrix();
        }
    }

    @AfterAll
    static void free() {
        arena.close();
    }

    @Test
    void answersDoNotDependOnWhoseThreadsWork() {
        AtomicInteger shared = new AtomicInteger();
        try (ExecutorService pool = Executors.newFixedThreadPool(2);
                Backend alone = new VectorBackend(Threads.calling());
                SoftmaxHead head = SoftmaxHead.of(alone, matrix, null, HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.of(alone, matrix)) {
            int[] greedy = head.greedy(States.of(hidden));
            float[] rows = table.rows(tokens);
            Threads counted = Threads.of(
                    task -> {
                        shared.incrementAndGet();
                        pool.execute(task);
                    },
                    2);
            for (Threads threads : new Threads[] {Threads.own(3), Threads.of(Runnable::run, 1), counted}) {
                try (Backend backend = new VectorBackend(threads);
                        SoftmaxHead other = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults());
                        EmbeddingTable same = EmbeddingTable.of(backend, matrix)) {
                    assertArrayEquals(rows, same.rows(tokens), threads.toString());
                    assertArrayEquals(greedy, other.greedy(States.of(hidden)), threads.toString());
                }
            }
            assertTrue(shared.get() > 0, "rows and codes are shared out");
        }
    }

    @Test
    void aTableOfFewRowsStartsNoThread() throws Exception {
        long before = threads();
        try (Backend backend = new VectorBackend(3);
                EmbeddingTable table = EmbeddingTable.of(backend, matrix)) {
            table.rows(new int[] {0, 7, ROWS - 1});
            assertEquals(before, threads());
            table.rows(tokens);
            assertEquals(before + 2, threads());
        }
        for (int wait = 0; wait < 1000 && threads() > before; wait++) {
            Thread.sleep(5);
        }
        assertEquals(before, threads());
    }

    private static long threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("groupreduce-vector-"))
                .count();
    }
}
