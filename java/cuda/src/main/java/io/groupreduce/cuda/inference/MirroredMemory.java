package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.PinnedMemory;
import io.groupreduce.cuda.driver.Stream;
import java.lang.foreign.MemorySegment;

/** Device memory with page-locked memory of the same size on the host: what a query brings, or what it takes away, in one copy. */
final class MirroredMemory implements AutoCloseable {
    private final Device device;
    private final WorkMemory onDevice;
    private PinnedMemory onHost;

    MirroredMemory(Device device, String purpose) {
        this.device = device;
        onDevice = new WorkMemory(device, purpose);
    }

    /**
     * Room for so many bytes on both sides; what they held is lost when they are made anew.
     *
     * @return whether they were made anew
     */
    boolean reserve(long bytes) {
        boolean anew = onDevice.reserve(bytes);
        long length = onDevice.memory().bytes();
        if (onHost == null || onHost.segment().byteSize() < length) {
            closeHost();
            onHost = device.pinned(length);
            anew = true;
        }
        return anew;
    }

    /** Where it starts on the device. */
    long address() {
        return onDevice.address();
    }

    /** The host's side. */
    MemorySegment host() {
        return onHost.segment();
    }

    /** Queues the copy of a range to the device. */
    void upload(Stream stream, long from, long to) {
        stream.copyToDevice(address() + from, host().asSlice(from, to - from));
    }

    /** Queues the copy of the first bytes to the host. */
    void download(Stream stream, long bytes) {
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
