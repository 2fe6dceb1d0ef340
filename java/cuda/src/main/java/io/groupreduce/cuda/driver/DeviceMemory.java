package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import jcuda.driver.JCudaDriver;

/** Memory on the card. From {@link Device#allocate}; whoever asked for it closes it. */
public final class DeviceMemory implements AutoCloseable {
    private final Device device;
    private final Handles.Address pointer;
    private final long address;
    private final long bytes;
    private final String purpose;
    private volatile boolean closed;

    DeviceMemory(Device device, Handles.Address pointer, long bytes, String purpose) {
        this.device = device;
        this.pointer = pointer;
        this.address = pointer.value();
        this.bytes = bytes;
        this.purpose = purpose;
    }

    /** Where it starts: a multiple of 256. */
    public long address() {
        if (closed) {
            throw new DeviceException("The memory for " + purpose + " on " + device.name() + " is closed already.");
        }
        return address;
    }

    /** Its length as it was asked for. */
    public long bytes() {
        return bytes;
    }

    /** Frees it after the work queued on it; calling it again does nothing. May be called on any thread. */
    @Override
    public void close() {
        device.release(this, () -> {
            if (!closed) {
                closed = true;
                try (Owned last = new Owned(device)) {
                    last.add(() -> Status.check(JCudaDriver.cuMemFree(pointer), "freeing the memory for " + purpose));
                    // The driver may wait by itself; it does not promise it.
                    device.synchronize();
                }
            }
        });
    }
}
