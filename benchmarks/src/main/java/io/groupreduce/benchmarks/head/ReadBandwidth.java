package io.groupreduce.benchmarks.head;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * How fast this machine reads: a plain loop over a buffer outside the heap, eight vectors a step into eight accumulators, each
 * thread a part of its own.
 */
final class ReadBandwidth implements AutoCloseable {
    private static final VectorSpecies<Integer> SPECIES = IntVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final long VECTOR_BYTES = SPECIES.vectorByteSize();
    private static final long STEP = 8 * VECTOR_BYTES;

    private final Arena arena = Arena.ofShared();
    private final Helpers helpers;
    private final MemorySegment buffer;
    private final int[] sums;

    /** @param bytes of the buffer */
    ReadBandwidth(long bytes, int threads) {
        helpers = new Helpers(threads);
        buffer = OffHeap.floats(arena, bytes / Float.BYTES);
        // Pages that were never written may all be one page of zeros.
        buffer.fill((byte) 1);
        sums = new int[threads];
    }

    MemorySegment buffer() {
        return buffer;
    }

    /** Bytes of the buffer. */
    long bytes() {
        return buffer.byteSize();
    }

    /** The bytes that {@link #read} reads where {@code bytes} are wanted. */
    long clamp(long bytes) {
        return Math.min(bytes, buffer.byteSize());
    }

    /** Reads the first {@code bytes} of the buffer; the sum keeps the loop alive. */
    int read(long bytes) {
        long limit = clamp(bytes);
        int threads = helpers.threads();
        helpers.run(part -> {
            long from = limit / STEP * part / threads * STEP;
            long to = limit / STEP * (part + 1) / threads * STEP;
            sums[part] = sum(buffer, from, to);
        });
        int sum = 0;
        for (int part : sums) {
            sum += part;
        }
        return sum;
    }

    private static int sum(MemorySegment data, long from, long to) {
        IntVector a = IntVector.zero(SPECIES);
        IntVector b = a;
        IntVector c = a;
        IntVector d = a;
        IntVector e = a;
        IntVector f = a;
        IntVector g = a;
        IntVector h = a;
        for (long at = from; at < to; at += STEP) {
            a = a.add(IntVector.fromMemorySegment(SPECIES, data, at, ORDER));
            b = b.add(IntVector.fromMemorySegment(SPECIES, data, at + VECTOR_BYTES, ORDER));
            c = c.add(IntVector.fromMemorySegment(SPECIES, data, at + 2 * VECTOR_BYTES, ORDER));
            d = d.add(IntVector.fromMemorySegment(SPECIES, data, at + 3 * VECTOR_BYTES, ORDER));
            e = e.add(IntVector.fromMemorySegment(SPECIES, data, at + 4 * VECTOR_BYTES, ORDER));
            f = f.add(IntVector.fromMemorySegment(SPECIES, data, at + 5 * VECTOR_BYTES, ORDER));
            g = g.add(IntVector.fromMemorySegment(SPECIES, data, at + 6 * VECTOR_BYTES, ORDER));
            h = h.add(IntVector.fromMemorySegment(SPECIES, data, at + 7 * VECTOR_BYTES, ORDER));
        }
        return a.add(b).add(c.add(d)).add(e.add(f).add(g.add(h))).reduceLanes(VectorOperators.ADD);
    }

    @Override
    public void close() {
        helpers.close();
        arena.close();
    }
}
