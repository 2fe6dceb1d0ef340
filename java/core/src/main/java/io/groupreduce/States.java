package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.check.Shareable;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.DeviceStates;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Where the hidden states of a batch lie: B states of D numbers each, in an array or a segment, one directly after the other unless a
 * stride is given. An object is a view and immutable: what it shows is read by each query anew, so an engine makes one for its buffer and keeps it.
 *
 * <p>Numbers are F32, F16 or BF16, in the machine's byte order, at any address. An array of F32 from index 0 on without a stride is used where it
 * lies; everything else is copied.
 */
public final class States {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT_UNALIGNED;

    private final float[] array;
    private final MemorySegment segment;
    /** {@code null} unless the states lie in a device's memory. */
    private final Device device;

    private final DType type;
    private final long offset;
    /** 0 for D. */
    private final long stride;
    /** 0 for as many as there are. */
    private final int count;

    private record Device(long address, long stream) {}

    private States(
            float[] array, MemorySegment segment, Device device, DType type, long offset, long stride, int count) {
        this.array = array;
        this.segment = segment;
        this.device = device;
        this.type = type;
        this.offset = offset;
        this.stride = stride;
        this.count = count;
    }

    /** All states of an array, whose length gives B. */
    public static States of(float[] values) {
        return new States(Objects.requireNonNull(values, "values"), null, null, DType.F32, 0, 0, 0);
    }

    /**
     * All states of a segment, whose size gives B.
     *
     * @throws InvalidOptionException if the type is not F32, F16 or BF16
     */
    public static States of(MemorySegment values, DType type) {
        requireFloats(type);
        return new States(null, Objects.requireNonNull(values, "values"), null, type, 0, 0, 0);
    }

    /**
     * States in the memory of the GPU that the head is on. What the stream holds so far comes before they are read; a query whose
     * answers come to the host waits for it.
     *
     * @param address the device pointer of the first number
     * @param stream the handle of the caller's stream ({@code CUstream} or {@code cudaStream_t}) in the card's primary context; 0 for the
     *     default stream
     * @throws InvalidOptionException if the type is not F32, F16 or BF16, or there is no state
     * @throws InvalidDataException if the address is 0 or no multiple of the size of a number
     */
    public static States onDevice(long address, int states, DType type, long stream) {
        requireFloats(type);
        if (address == 0 || address % type.bytes() != 0) {
            throw new InvalidDataException("The address of the hidden states is 0x" + Long.toHexString(address)
                    + "; give that of numbers of type " + type + " on the GPU.");
        }
        return new States(null, null, new Device(address, stream), type, 0, 0, 0).first(states);
    }

    private static void requireFloats(DType type) {
        if (!type.compressible()) {
            throw new InvalidOptionException("Hidden states cannot be of type " + type + "; give F32, F16 or BF16.");
        }
    }

    /**
     * The same states, the first of which begins after so many numbers.
     *
     * @throws InvalidOptionException if it is negative
     */
    public States from(long numbers) {
        if (numbers < 0) {
            throw new InvalidOptionException("The first hidden state cannot begin at " + numbers + "; give 0 or more.");
        }
        return new States(array, segment, device, type, numbers, stride, count);
    }

    /**
     * The same states, each of which begins so many numbers after the one before; a head refuses less than its D.
     *
     * @throws InvalidOptionException if it is below 1
     */
    public States every(long numbers) {
        if (numbers < 1) {
            throw new InvalidOptionException("The stride of hidden states is " + numbers + "; give at least D.");
        }
        return new States(array, segment, device, type, offset, numbers, count);
    }

    /**
     * The first B of the states.
     *
     * @throws InvalidOptionException if it is below 1
     */
    public States first(int states) {
        if (states < 1) {
            throw new InvalidOptionException("The number of hidden states is " + states + "; give at least 1.");
        }
        return new States(array, segment, device, type, offset, stride, states);
    }

    /** Whether they lie in a device's memory. */
    boolean isOnDevice() {
        return device != null;
    }

    /** The {@code states} that lie in a device's memory. */
    DeviceStates onDevice(int states, int columns) {
        long step = stride == 0 ? columns : stride;
        return new DeviceStates(device.address + offset * type.bytes(), type, step, states, device.stream);
    }

    /** Whether this is an array of nothing but states. */
    boolean isPlain(int columns) {
        return array != null && offset == 0 && (stride == 0 || stride == columns);
    }

    float[] array() {
        return array;
    }

    /**
     * B, for states of so many numbers.
     *
     * @param matrix what the message calls the matrix
     * @throws InvalidDataException if the memory does not hold whole states, or may not be read
     */
    int count(int columns, String matrix) {
        if (segment != null) {
            Shareable.requireUsable(segment, "the hidden states");
            if (segment.byteSize() % type.bytes() != 0) {
                throw new InvalidDataException("The segment of the hidden states has " + segment.byteSize()
                        + " bytes, which are no whole numbers of type " + type + "; give whole states.");
            }
        }
        long step = stride == 0 ? columns : stride;
        // How much there is on a device the backend finds out.
        long there = device != null
                ? (count - 1) * step + columns
                : (array != null ? array.length : segment.byteSize() / type.bytes()) - offset;
        if (step < columns) {
            throw new InvalidDataException("The hidden states have a stride of " + stride + " numbers, but '" + matrix
                    + "' takes states of " + columns + " numbers; the stride must be at least that.");
        }
        long found = there < columns ? 0 : (there - columns) / step + 1;
        boolean whole = (there - found * step) % step == 0 || (there - columns) % step == 0;
        if (count > found || found == 0 || count == 0 && !whole) {
            throw new InvalidDataException("The hidden states have " + Math.max(0, there) + " numbers of type " + type
                    + (stride == 0 ? "" : " and a stride of " + stride) + ", but "
                    + (count > 0 ? count + " states" : "whole states") + " of " + columns + " numbers are needed for '"
                    + matrix + "'.");
        }
        long used = count > 0 ? count : found;
        if (used * columns > Matrix.LONGEST_ARRAY) {
            throw new InvalidDataException(
                    used + " hidden states are too many for one query of '" + matrix + "'; ask in several batches.");
        }
        return (int) used;
    }

    /** Copies {@code states} of them as binary32, one directly after the other. */
    void copyTo(float[] target, int states, int columns) {
        long step = stride == 0 ? columns : stride;
        for (int s = 0; s < states; s++) {
            long at = offset + s * step;
            if (array != null) {
                System.arraycopy(array, (int) at, target, s * columns, columns);
            } else if (type == DType.F32) {
                MemorySegment.copy(segment, F32, at * Float.BYTES, target, s * columns, columns);
            } else {
                widen(at, target, s * columns, columns);
            }
        }
    }

    private void widen(long at, float[] target, int to, int columns) {
        for (int j = 0; j < columns; j++) {
            short bits = segment.get(I16, (at + j) * Short.BYTES);
            target[to + j] = type == DType.F16 ? Float.float16ToFloat(bits) : Bf16.widen(bits);
        }
    }
}
