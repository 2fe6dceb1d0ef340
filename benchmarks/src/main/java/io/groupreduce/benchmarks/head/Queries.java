package io.groupreduce.benchmarks.head;

import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Hidden states to ask about, and the tokens that follow them.
 *
 * @param hidden T x D
 * @param targets length T
 */
record Queries(Matrix hidden, int[] targets) {
    private static final int MOST_BATCHES = 64;

    /** The states cut into batches, at least one and at most {@value #MOST_BATCHES}; states come again if there are too few. */
    Batch batches(Arena arena, int size) {
        int columns = hidden.columns();
        int count = Math.max(1, Math.min(MOST_BATCHES, hidden.rows() / size));
        float[][] heap = new float[count][size * columns];
        MemorySegment[] offHeap = new MemorySegment[count];
        int[][] following = new int[count][size];
        for (int b = 0; b < count; b++) {
            for (int s = 0; s < size; s++) {
                int state = (b * size + s) % hidden.rows();
                hidden.readRow(state, heap[b], s * columns);
                following[b][s] = targets[state];
            }
            offHeap[b] = OffHeap.floats(arena, (long) size * columns);
            MemorySegment.copy(heap[b], 0, offHeap[b], ValueLayout.JAVA_FLOAT, 0, heap[b].length);
        }
        return new Batch(size, heap, offHeap, following);
    }

    /** The first states, {@code most} of them at most. */
    Queries first(int most) {
        int count = Math.min(most, hidden.rows());
        return new Queries(hidden.slice(0, count), Arrays.copyOf(targets, count));
    }
}
