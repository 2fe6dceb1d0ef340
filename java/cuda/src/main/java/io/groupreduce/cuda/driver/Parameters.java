package io.groupreduce.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A kernel's parameter structure as C lays it out: every value aligned to its own size. Written in the order of the fields, and used
 * again after {@link #reset}; a launch takes a copy.
 */
public final class Parameters {
    // The driver's names: CU_LAUNCH_PARAM_END, CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE.
    private static final long END = 0;
    private static final long BUFFER_POINTER = 1;
    private static final long BUFFER_SIZE = 2;

    private final MemorySegment block;
    private final MemorySegment size;
    private final MemorySegment extra;
    private long written;
    private long alignment = 1;

    /** Room for a structure of so many bytes, at least 1. */
    public Parameters(int capacityBytes) {
        Arena arena = Arena.ofAuto();
        block = arena.allocate(roundUp(capacityBytes, Long.BYTES), 16);
        size = arena.allocate(ValueLayout.JAVA_LONG);
        extra = arena.allocate(ValueLayout.JAVA_LONG, 5);
        extra.setAtIndex(ValueLayout.JAVA_LONG, 0, BUFFER_POINTER);
        extra.setAtIndex(ValueLayout.JAVA_LONG, 1, block.address());
        extra.setAtIndex(ValueLayout.JAVA_LONG, 2, BUFFER_SIZE);
        extra.setAtIndex(ValueLayout.JAVA_LONG, 3, size.address());
        extra.setAtIndex(ValueLayout.JAVA_LONG, 4, END);
    }

    /** Starts over with the first field. */
    public Parameters reset() {
        written = 0;
        alignment = 1;
        block.fill((byte) 0);
        return this;
    }

    /** Pointers to device memory; 0 is the null pointer. */
    public Parameters address(long... addresses) {
        for (long address : addresses) {
            i64(address);
        }
        return this;
    }

    public Parameters i32(int... values) {
        for (int value : values) {
            block.set(ValueLayout.JAVA_INT, next(Integer.BYTES), value);
        }
        return this;
    }

    public Parameters i64(long value) {
        block.set(ValueLayout.JAVA_LONG, next(Long.BYTES), value);
        return this;
    }

    public Parameters f32(float... values) {
        for (float value : values) {
            block.set(ValueLayout.JAVA_FLOAT, next(Float.BYTES), value);
        }
        return this;
    }

    public Parameters f64(double... values) {
        for (double value : values) {
            block.set(ValueLayout.JAVA_DOUBLE, next(Double.BYTES), value);
        }
        return this;
    }

    /** Bytes of the structure so far, with the padding that C puts at its end. */
    public int bytes() {
        return (int) roundUp(written, alignment);
    }

    /** The driver's {@code extra} argument: where the structure lies and how long it is. */
    MemorySegment extra() {
        size.set(ValueLayout.JAVA_LONG, 0, bytes());
        return extra;
    }

    private long next(int bytes) {
        long offset = roundUp(written, bytes);
        written = offset + bytes;
        alignment = Math.max(alignment, bytes);
        return offset;
    }

    private static long roundUp(long value, long unit) {
        return (value + unit - 1) / unit * unit;
    }
}
