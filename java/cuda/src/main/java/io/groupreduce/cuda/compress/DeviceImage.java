package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Small tables of a step: written on the host field by field as C lays structures out, with addresses that hold on the
 * card, and copied there as one.
 */
final class DeviceImage {
    private final Device device;
    private final DeviceMemory memory;
    private final ByteBuffer bytes;

    /**
     * Takes memory.
     *
     * @param purpose what an error message calls the tables
     */
    DeviceImage(Owned owned, int capacityBytes, String purpose) {
        device = owned.device();
        bytes = ByteBuffer.allocate(Math.max(1, capacityBytes)).order(ByteOrder.nativeOrder());
        memory = owned.allocate(bytes.capacity(), purpose);
    }

    /** Where the first byte lies on the card. */
    long address() {
        return memory.address();
    }

    /** Starts over; what the card has stays until {@link #upload}. */
    DeviceImage reset() {
        bytes.clear();
        return this;
    }

    /** Goes on at a multiple of so many bytes, and returns its address on the card. */
    long align(int unit) {
        while (bytes.position() % unit != 0) {
            bytes.put((byte) 0);
        }
        return memory.address() + bytes.position();
    }

    DeviceImage i32(int... values) {
        for (int value : values) {
            bytes.putInt(value);
        }
        return this;
    }

    DeviceImage i64(long... values) {
        for (long value : values) {
            bytes.putLong(value);
        }
        return this;
    }

    DeviceImage f64(double... values) {
        for (double value : values) {
            bytes.putDouble(value);
        }
        return this;
    }

    /** Writes the first {@code count} numbers and returns where they will lie. */
    long floats(float[] values, int count) {
        long address = align(Float.BYTES);
        for (int i = 0; i < count; i++) {
            bytes.putFloat(values[i]);
        }
        return address;
    }

    /** Writes numbers and returns where they will lie. */
    long ints(int[] values) {
        long address = align(Integer.BYTES);
        i32(values);
        return address;
    }

    /** Copies what was written to the card. */
    void upload() {
        device.upload(MemorySegment.ofArray(bytes.array()).asSlice(0, bytes.position()), memory, 0);
    }
}
