package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;

/** Device memory for the passing results of a step, kept for the next step and replaced when more is asked for. */
public final class Scratch implements AutoCloseable {
    private final Device device;
    private final String purpose;
    private DeviceMemory memory;

    /** Holds nothing yet; {@code purpose} is what an error message calls it. */
    public Scratch(Device device, String purpose) {
        this.device = device;
        this.purpose = purpose;
    }

    /**
     * The address of at least so many bytes. What was there before is lost when it grows.
     *
     * @throws OutOfDeviceMemoryException if the card has not as many; nothing is held then
     */
    public long atLeast(long bytes) {
        if (memory == null || memory.bytes() < bytes) {
            close();
            memory = device.allocate(Math.max(1, bytes), purpose);
        }
        return memory.address();
    }

    /** How much is held. */
    public long bytes() {
        return memory == null ? 0 : memory.bytes();
    }

    /** Copies host memory to the beginning and returns its address. */
    public long upload(MemorySegment source) {
        long address = atLeast(source.byteSize());
        device.upload(source, memory, 0);
        return address;
    }

    /**
     * Copies host memory to the beginning, which must be large enough, during queued work and as soon as {@code unused}
     * happened.
     */
    public void uploadAfter(Event unused, MemorySegment source) {
        device.uploadAfter(unused, source, memory, 0);
    }

    /** Copies the beginning to host memory. */
    public void download(MemorySegment target) {
        download(0, target);
    }

    /** Copies what lies from {@code offset} bytes on to host memory. */
    public void download(long offset, MemorySegment target) {
        device.download(memory, offset, target);
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}
