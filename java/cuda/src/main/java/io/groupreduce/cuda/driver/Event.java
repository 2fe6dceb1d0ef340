package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import jcuda.driver.JCudaDriver;

/** A point in a stream, to wait for or to measure time between. From {@link Device#event}. */
public final class Event implements AutoCloseable {
    private final Device device;
    private final Handles.EventHandle event;
    private final long handle;
    private boolean closed;

    Event(Device device, Handles.EventHandle event) {
        this.device = device;
        this.event = event;
        this.handle = event.value();
    }

    /** The driver's {@code CUevent}. */
    public long handle() {
        if (closed) {
            throw new DeviceException("This event of " + device.name() + " is closed; make another.");
        }
        return handle;
    }

    /** Waits until the event's last recording has happened. */
    public void synchronize() {
        device.calls().synchronizeEvent(handle());
    }

    /** Milliseconds of the card's clock between two events that have happened; its resolution is about half a microsecond. */
    public static float milliseconds(Event from, Event to) {
        from.handle();
        to.handle();
        float[] time = new float[1];
        Status.check(JCudaDriver.cuEventElapsedTime(time, from.event, to.event), "reading the time between two events");
        return time[0];
    }

    /** Frees it; calling it again does nothing. May be called on any thread. */
    @Override
    public void close() {
        device.release(this, () -> {
            if (!closed) {
                closed = true;
                Status.check(JCudaDriver.cuEventDestroy(event), "freeing an event");
            }
        });
    }
}
