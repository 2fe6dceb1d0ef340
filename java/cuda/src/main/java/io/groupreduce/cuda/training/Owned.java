package io.groupreduce.cuda.training;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What one object holds on the card, freed together, the newest first. A constructor that fails halfway closes it, so
 * that nothing is left behind.
 */
final class Owned implements AutoCloseable {
    private final Device device;
    private final Deque<Runnable> closing = new ArrayDeque<>();

    Owned(Device device) {
        this.device = device;
    }

    /** Takes over what is closed by {@code close}. */
    void add(Runnable close) {
        closing.push(close);
    }

    /**
     * Takes memory, at least 1 byte.
     *
     * @throws OutOfDeviceMemoryException if the card has not enough
     */
    DeviceMemory allocate(long bytes, String purpose) {
        DeviceMemory taken = device.allocate(Math.max(1, bytes), purpose);
        add(taken::close);
        return taken;
    }

    /** Takes memory and clears it. */
    DeviceMemory zeros(long bytes, String purpose) {
        DeviceMemory taken = allocate(bytes, purpose);
        device.stream().clear(taken.address(), taken.bytes());
        return taken;
    }

    /** Takes memory and copies host memory there. */
    DeviceMemory copy(MemorySegment source, String purpose) {
        DeviceMemory taken = allocate(source.byteSize(), purpose);
        device.upload(source, taken, 0);
        return taken;
    }

    /** Frees all of it; calling it again does nothing. */
    @Override
    public void close() {
        while (!closing.isEmpty()) {
            closing.pop().run();
        }
    }
}
