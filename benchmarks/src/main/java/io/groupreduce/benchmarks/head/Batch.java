package io.groupreduce.benchmarks.head;

import java.lang.foreign.MemorySegment;

/**
 * Batches of one size that are met in turn, so that every contestant meets the same hidden states in the same order.
 *
 * @param size hidden states in a batch
 * @param hidden per batch, size x D
 * @param offHeap the same numbers outside the heap, for native peers
 * @param targets per batch, one token a state
 */
record Batch(int size, float[][] hidden, MemorySegment[] offHeap, int[][] targets) {
    /** Which batch a turn meets. */
    int index(int turn) {
        return turn % hidden.length;
    }

    float[] hidden(int turn) {
        return hidden[index(turn)];
    }

    MemorySegment offHeap(int turn) {
        return offHeap[index(turn)];
    }

    int[] targets(int turn) {
        return targets[index(turn)];
    }
}
