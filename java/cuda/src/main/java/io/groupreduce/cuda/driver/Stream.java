package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;

/** A queue of work on the card: runs in order, returns to the caller at once. Made and closed by its {@link Device}. */
public final class Stream {
    private final DriverCalls calls;
    private final long handle;

    Stream(DriverCalls calls, long handle) {
        this.calls = calls;
        this.handle = handle;
    }

    /** The driver's {@code CUstream}, for libraries that queue work of their own. */
    public long handle() {
        return handle;
    }

    /** Copies all of {@code pinned} to the card; it must stay as it is until the copy is through. */
    public void copyToDevice(long address, MemorySegment pinned) {
        if (pinned.byteSize() > 0) {
            calls.copyToDevice(address, pinned, handle);
        }
    }

    /** Fills {@code pinned} from the card; it may be read when the copy is through. */
    public void copyToHost(MemorySegment pinned, long address) {
        if (pinned.byteSize() > 0) {
            calls.copyToHost(pinned, address, handle);
        }
    }

    /** Copies on the card; the two ranges must not overlap. */
    public void copy(long to, long from, long bytes) {
        if (bytes > 0) {
            calls.copyOnDevice(to, from, bytes, handle);
        }
    }

    /** Sets every byte to 0. */
    public void clear(long address, long bytes) {
        fill(address, (byte) 0, bytes);
    }

    /** Sets every byte to {@code value}. */
    public void fill(long address, byte value, long bytes) {
        if (bytes > 0) {
            calls.fill(address, value, bytes, handle);
        }
    }

    /** The event happens when everything queued so far is through. */
    public void record(Event event) {
        calls.record(event.handle(), handle);
    }

    /** What is queued from now on starts after the event's last recording; at once if it was never recorded. */
    public void await(Event event) {
        calls.await(handle, event.handle());
    }

    /** Waits until everything queued is through; reports what failed on the card since. */
    public void synchronize() {
        calls.synchronizeStream(handle);
    }
}
