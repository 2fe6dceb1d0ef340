package io.groupreduce.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.driver.JCudaDriver;

/** Page-locked memory of the host, which the card copies from and to by itself. From {@link Device#pinned}. */
@SuppressWarnings("restricted")
public final class PinnedMemory implements AutoCloseable {
    private final Device device;
    private final Handles.HostAddress pointer;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;
    private volatile boolean closed;

    PinnedMemory(Device device, Handles.HostAddress pointer, long bytes) {
        this.device = device;
        this.pointer = pointer;
        this.segment = MemorySegment.ofAddress(pointer.value()).reinterpret(bytes, arena, null);
    }

    /** The memory; any thread may use it until it is closed. */
    public MemorySegment segment() {
        return segment;
    }

    /** Waits for all queued work, then frees it; calling it again does nothing. May be called on any thread. */
    @Override
    public void close() {
        device.release(this, () -> {
            if (!closed) {
                closed = true;
                arena.close();
                try (Owned last = new Owned(device)) {
                    last.add(() -> Status.check(JCudaDriver.cuMemFreeHost(pointer), "freeing page-locked memory"));
                    device.synchronize();
                }
            }
        });
    }
}
