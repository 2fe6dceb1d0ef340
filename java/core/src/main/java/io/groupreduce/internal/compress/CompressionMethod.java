package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import java.lang.foreign.Arena;

/** One way to compress a matrix: what its rows may take, and which of it they take. */
interface CompressionMethod {
    /**
     * Checks the size target without touching the data.
     *
     * @throws io.groupreduce.error.UnreachableTargetException if nothing the method can write is so small
     */
    void requireReachable();

    /**
     * Compresses.
     *
     * @param arena owns the memory of the result
     * @throws io.groupreduce.error.UnreachableTargetException if nothing the method can write is so small
     */
    CompressionResult run(Arena arena, Progress progress);
}
