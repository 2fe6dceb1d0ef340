package io.groupreduce.benchmarks.head;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory outside the heap that begins at a cache line. */
final class OffHeap {
    private static final int CACHE_LINE = 64;

    private OffHeap() {}

    /** Room for {@code count} zeros, at least one. */
    static MemorySegment floats(Arena arena, long count) {
        return arena.allocate(Math.max(1, count) * Float.BYTES, CACHE_LINE);
    }
}
