package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Event;

/** The card under measurement, and a stopwatch on it. */
final class Card implements AutoCloseable {
    /** Larger than the L2 cache of any card so far. */
    private static final long FLUSHED_BYTES = 256L << 20;

    private final Device device;
    private final Cublas blas;
    private final DeviceMemory flushed;
    private final Event begun;
    private final Event ended;

    /** Does not take over the device. */
    Card(Device device) {
        this.device = device;
        blas = device.call(() -> new Cublas(device));
        flushed = device.call(() -> device.allocate(FLUSHED_BYTES, "a buffer that empties the cache"));
        begun = device.call(device::event);
        ended = device.call(device::event);
    }

    Device device() {
        return device;
    }

    Cublas blas() {
        return blas;
    }

    /**
     * Times work between two events on the card; what is queued before has then run, and the cache holds nothing of it.
     *
     * @param work runs on the device's thread
     */
    Times time(int repeats, Runnable work) {
        return device.call(() -> {
            double[] milliseconds = new double[repeats];
            work.run();
            work.run();
            for (int r = 0; r < repeats; r++) {
                milliseconds[r] = timeOnce(work);
            }
            return new Times(milliseconds);
        });
    }

    /** Times work that runs once, in milliseconds, without a call before it. */
    double timeOnce(Runnable work) {
        return device.call(() -> {
            device.stream().clear(flushed.address(), FLUSHED_BYTES);
            device.stream().synchronize();
            device.stream().record(begun);
            work.run();
            device.stream().record(ended);
            ended.synchronize();
            return (double) Event.milliseconds(begun, ended);
        });
    }

    @Override
    public void close() {
        device.run(() -> {
            begun.close();
            ended.close();
            flushed.close();
            blas.close();
        });
    }
}
