package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * What lives as long as one object on a device, closed together, the newest first. A constructor that fails half-way, with whatever, calls
 * {@link #closeAfter}, so that nothing is left behind; what it hands its {@code Owned} to needs no closing of its own.
 */
public final class Owned implements AutoCloseable {
    private final Device device;
    private final Deque<AutoCloseable> parts = new ArrayDeque<>();
    private final List<AutoCloseable> passing = new ArrayList<>();

    /** Owns nothing yet; {@code device} may be {@code null} where no memory will be taken. */
    public Owned(Device device) {
        this.device = device;
    }

    /** Where memory is taken. */
    public Device device() {
        return device;
    }

    /** Takes a part over. */
    public <T extends AutoCloseable> T add(T part) {
        parts.push(part);
        return part;
    }

    /** Takes over a part that may be closed at any time between steps and takes what it needs again: see {@link #release}. */
    public <T extends AutoCloseable> T addPassing(T part) {
        passing.add(part);
        return add(part);
    }

    /**
     * Takes memory, at least 1 byte.
     *
     * @throws OutOfDeviceMemoryException if the card has not enough
     */
    public DeviceMemory allocate(long bytes, String purpose) {
        return add(device.allocate(Math.max(1, bytes), purpose));
    }

    /** Takes memory and clears it. */
    public DeviceMemory zeros(long bytes, String purpose) {
        DeviceMemory taken = allocate(bytes, purpose);
        device.stream().clear(taken.address(), taken.bytes());
        return taken;
    }

    /** Takes memory and copies host memory there. */
    public DeviceMemory copy(MemorySegment source, String purpose) {
        DeviceMemory taken = allocate(source.byteSize(), purpose);
        device.upload(source, taken, 0);
        return taken;
    }

    /** Memory for the passing results of steps, of which nothing is taken yet. */
    public WorkMemory work(String purpose) {
        return addPassing(new WorkMemory(device, purpose));
    }

    /** Frees what is kept from step to step only to save time. */
    public void release() {
        close(new ArrayDeque<>(passing), null);
    }

    /** Closes all of it after a failure, to which failures to close are attached. */
    public void closeAfter(Throwable failure) {
        close(parts, failure);
    }

    /** Closes all of it, then throws the first failure with the others attached; calling it again does nothing. */
    @Override
    public void close() {
        close(parts, null);
    }

    private static void close(Deque<AutoCloseable> open, Throwable cause) {
        Throwable first = cause;
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Throwable e) {
                if (first == null) {
                    first = e;
                } else if (first != e) {
                    first.addSuppressed(e);
                }
            }
        }
        if (cause != null || first == null) {
            return;
        }
        if (first instanceof Error error) {
            throw error;
        }
        throw first instanceof RuntimeException e ? e : new IllegalStateException(first);
    }
}
