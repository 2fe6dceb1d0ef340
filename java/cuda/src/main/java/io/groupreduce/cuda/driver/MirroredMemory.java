package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;

/** {@link WorkMemory} with page-locked memory of the same size on the host: what a query brings, or what it takes away, in one copy. */
public final class MirroredMemory implements AutoCloseable {
    private final Device device;
    private final WorkMemory onDevice;
    private PinnedMemory onHost;

    /** Holds nothing yet; {@code purpose} is what an error message calls it. */
    public MirroredMemory(Device device, String purpose) {
        this.device = device;
        onDevice = new WorkMemory(device, purpose);
    }

    /**
     * Room for so many bytes on both sides; what they held is lost when they are made anew.
     *
     * @return whether they were made anew
     */
    public boolean reserve(long bytes) {
        boolean anew = onDevice.reserve(Math.max(1, bytes));
        long length = onDevice.memory().bytes();
        if (onHost == null || onHost.segment().byteSize() < length) {
            closeHost();
            onHost = device.pinned(length);
            anew = true;
        }
        return anew;
    }

    /** Where it starts on the device. */
    public long address() {
        return onDevice.address();
    }

    /** The host's side. */
    public MemorySegment host() {
        return onHost.segment();
    }

    /** Queues the copy of a range to the device. */
    public void upload(Stream stream, long from, long to) {
        stream.copyToDevice(address() + from, host().asSlice(from, to - from));
    }

    /** Queues the copy of the first bytes to the host. */
    public void download(Stream stream, long bytes) {
        stream.copyToHost(host().asSlice(0, bytes), address());
    }

    private void closeHost() {
        if (onHost != null) {
            onHost.close();
            onHost = null;
        }
    }

    /** Frees both; they may be reserved again. */
    @Override
    public void close() {
        onDevice.close();
        closeHost();
    }
}
