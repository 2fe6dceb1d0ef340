package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A sequence of launches, copies and fills, noted once and run many times for the cost of one launch. From {@link Device#graph}. */
public final class Graph implements AutoCloseable {
    // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile.
    private static final int THREAD_LOCAL = 1;

    private final Device device;
    private final MemorySegment launch;
    private final long executable;
    private boolean closed;

    private Graph(Device device, long executable) {
        this.device = device;
        this.executable = executable;
        this.launch = device.calls().function("cuGraphLaunch");
    }

    /** Notes what {@code work} queues on the stream; nothing of it runs. */
    static Graph record(Device device, Stream stream, Runnable work) {
        DriverCalls calls = device.calls();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
            calls.beginCapture(stream.handle(), THREAD_LOCAL);
            try {
                work.run();
            } catch (RuntimeException | Error e) {
                abandon(calls, stream, handle, e);
                throw e;
            }
            calls.endCapture(stream.handle(), handle);
            long graph = handle.get(ValueLayout.JAVA_LONG, 0);
            try {
                calls.instantiate(handle, graph);
            } finally {
                calls.destroy("cuGraphDestroy", graph);
            }
            return new Graph(device, handle.get(ValueLayout.JAVA_LONG, 0));
        }
    }

    /** Queues all of it on the stream. */
    public void launch(Stream stream) {
        if (closed) {
            throw new DeviceException("This graph of " + device.name() + " is closed; record another.");
        }
        device.calls().launchGraph(launch, executable, stream.handle());
    }

    /** Frees it; calling it again does nothing. May be called on any thread. */
    @Override
    public void close() {
        device.release(this, () -> {
            if (!closed) {
                closed = true;
                device.calls().destroy("cuGraphExecDestroy", executable);
            }
        });
    }

    private static void abandon(DriverCalls calls, Stream stream, MemorySegment handle, Throwable cause) {
        try {
            calls.endCapture(stream.handle(), handle);
            long graph = handle.get(ValueLayout.JAVA_LONG, 0);
            if (graph != 0) {
                calls.destroy("cuGraphDestroy", graph);
            }
        } catch (RuntimeException e) {
            cause.addSuppressed(e);
        }
    }
}
