package io.groupreduce.vector.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * How fast this machine reads, the roof of a query: a plain loop over a buffer outside the heap, eight vectors a step into eight
 * accumulators, each thread a part of its own.
 */
public final class ReadBandwidth implements AutoCloseable {
    private static final VectorSpecies<Integer> SPECIES = IntVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final long VECTOR_BYTES = SPECIES.vectorByteSize();
    private static final long STEP = 8 * VECTOR_BYTES;
    private static final long CACHE_LINE = 64;

    private final Arena arena = Arena.ofShared();
    private final Workers workers;
    private final MemorySegment buffer;
    private final int[] sums;

    /** @param bytes of the buffer */
    public ReadBandwidth(long bytes, int threads) {
        workers = new Workers(threads);
        buffer = arena.allocate(bytes, CACHE_LINE);
        // Pages that were never written may all be one page of zeros.
        buffer.fill((byte) 1);
        sums = new int[threads];
    }

    public MemorySegment buffer() {
        return buffer;
    }

    /** The bytes that {@link #read} reads where {@code bytes} are wanted. */
    public long clamp(long bytes) {
        return Math.min(bytes, buffer.byteSize());
    }

    /** Reads the first {@code bytes} of the buffer; the sum keeps the loop alive. */
    public int read(long bytes) {
        long steps = clamp(bytes) / STEP;
        int threads = workers.count();
        workers.run(threads, (part, worker) -> {
            sums[part] = sum(buffer, steps * part / threads * STEP, steps * (part + 1) / threads * STEP);
        });
        int sum = 0;
        for (int part : sums) {
            sum += part;
        }
        return sum;
    }

    /** Reads the whole buffer once; bytes a second. */
    public double measure() {
        long begun = System.nanoTime();
        read(buffer.byteSize());
        return buffer.byteSize() / ((System.nanoTime() - begun) / 1e9);
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
        workers.close();
        arena.close();
    }
}
