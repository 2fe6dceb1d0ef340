package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;

/**
 * Device memory that is kept for the next step and made larger when more is asked for; what it held is lost then. Nothing may be queued
 * elsewhere than on the device that still uses it.
 */
public final class WorkMemory implements AutoCloseable {
    /** Up to this it grows to twice what it was, so that batches that grow state by state seldom make it anew. */
    private static final long DOUBLING_BYTES = 8 << 20;

    private final Device device;
    private final String purpose;
    private DeviceMemory memory;

    /** Holds nothing yet; {@code purpose} is what an error message calls it. */
    public WorkMemory(Device device, String purpose) {
        this.device = device;
        this.purpose = purpose;
    }

    /**
     * Room for so many bytes.
     *
     * @return whether the memory was made anew
     * @throws OutOfDeviceMemoryException if the card has not as many; nothing is held then
     */
    public boolean reserve(long bytes) {
        long had = bytes();
        if (bytes <= had) {
            return false;
        }
        close();
        memory = allocate(bytes, Math.max(bytes, Math.min(2 * had, DOUBLING_BYTES)));
        return true;
    }

    private DeviceMemory allocate(long needed, long wanted) {
        try {
            return device.allocate(wanted, purpose);
        } catch (OutOfDeviceMemoryException e) {
            if (wanted == needed) {
                throw e;
            }
            return device.allocate(needed, purpose);
        }
    }

    /** The address of at least so many bytes, after {@link #reserve}. */
    public long atLeast(long bytes) {
        reserve(Math.max(1, bytes));
        return memory.address();
    }

    /** Copies host memory to the beginning and returns its address. */
    public long upload(MemorySegment source) {
        long address = atLeast(source.byteSize());
        device.upload(source, memory, 0);
        return address;
    }

    /** What was reserved. */
    public DeviceMemory memory() {
        return memory;
    }

    /** Where it starts; 0 if nothing is held. */
    public long address() {
        return memory == null ? 0 : memory.address();
    }

    /** How much is held. */
    public long bytes() {
        return memory == null ? 0 : memory.bytes();
    }

    /** Frees it; it may be reserved again. */
    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}
