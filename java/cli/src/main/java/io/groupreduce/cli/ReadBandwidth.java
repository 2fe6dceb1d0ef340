package io.groupreduce.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;

/**
 * How fast some threads together read memory: each adds up its own stretch of 8-byte integers, a loop that the compiler turns into
 * wide loads and that waits for memory alone. This measures what a query is compared with, without a kernel of the backend.
 */
final class ReadBandwidth {
    /** A smaller stretch would stay in the caches of a core. */
    private static final long LEAST_BYTES_A_THREAD = 16L << 20;

    private static final long BLOCK = 1 << 16;

    /** Keeps the compiler from leaving the sums out. */
    private static volatile long sink;

    private final MemorySegment[] stretches;

    /**
     * Takes memory for all passes, which {@code arena}, a shared one, frees.
     *
     * @param bytes how much a pass reads, rounded up
     */
    ReadBandwidth(Arena arena, int threads, long bytes) {
        stretches = new MemorySegment[threads];
        long blocks = Math.ceilDiv(Math.max(LEAST_BYTES_A_THREAD, bytes / threads), BLOCK * Long.BYTES);
        for (int t = 0; t < threads; t++) {
            stretches[t] = arena.allocate(blocks * BLOCK * Long.BYTES, Long.BYTES);
            // Pages that were never written to may all be one and the same.
            stretches[t].fill((byte) 1);
        }
    }

    /** Reads everything once with all threads and returns GB/s, 10^9 bytes a second. */
    double pass() {
        // The last thread to arrive takes the time, so that starting and ending threads costs none.
        long[] times = new long[2];
        CyclicBarrier begin = new CyclicBarrier(stretches.length, () -> times[0] = System.nanoTime());
        CyclicBarrier end = new CyclicBarrier(stretches.length, () -> times[1] = System.nanoTime());
        Thread[] threads = new Thread[stretches.length];
        for (int t = 0; t < threads.length; t++) {
            MemorySegment stretch = stretches[t];
            threads[t] = Thread.ofPlatform().daemon().start(() -> {
                await(begin);
                sink = sum(stretch);
                await(end);
            });
        }
        for (Thread thread : threads) {
            join(thread);
        }
        return (double) stretches[0].byteSize() * stretches.length / (times[1] - times[0]);
    }

    private static long sum(MemorySegment stretch) {
        long sum = 0;
        for (long from = 0; from < stretch.byteSize() / Long.BYTES; from += BLOCK) {
            sum += sum(stretch, from, from + BLOCK);
        }
        return sum;
    }

    /** A method of its own, called often, so that it is soon compiled as a whole. */
    private static long sum(MemorySegment stretch, long from, long to) {
        long sum = 0;
        for (long i = from; i < to; i++) {
            sum += stretch.getAtIndex(ValueLayout.JAVA_LONG, i);
        }
        return sum;
    }

    private static void await(CyclicBarrier barrier) {
        try {
            barrier.await();
        } catch (InterruptedException | BrokenBarrierException e) {
            throw new IllegalStateException("nobody interrupts these threads", e);
        }
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while memory was read", e);
        }
    }
}
