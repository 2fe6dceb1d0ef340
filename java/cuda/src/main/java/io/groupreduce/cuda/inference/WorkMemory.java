package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;

/** Device memory that is made larger when more is asked for; what it held is lost then. Nothing may be queued that still uses it. */
final class WorkMemory implements AutoCloseable {
    /** Below this it at least doubles, so that batches that grow state by state seldom make it anew. */
    private static final long DOUBLING_BYTES = 8 << 20;

    private final Device device;
    private final String purpose;
    private DeviceMemory memory;

    WorkMemory(Device device, String purpose) {
        this.device = device;
        this.purpose = purpose;
    }

    /**
     * Room for so many bytes.
     *
     * @return whether the memory was made anew
     */
    boolean reserve(long bytes) {
        long had = memory == null ? 0 : memory.bytes();
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

    /** What was reserved. */
    DeviceMemory memory() {
        return memory;
    }

    /** Where it starts; 0 if nothing was ever reserved. */
    long address() {
        return memory == null ? 0 : memory.address();
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
