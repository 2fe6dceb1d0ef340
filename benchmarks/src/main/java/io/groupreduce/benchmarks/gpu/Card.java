package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.Owned;

/** The card under measurement, and a stopwatch on it. */
final class Card implements AutoCloseable {
    /** Rows of a matrix of 256 MiB, larger than the L2 cache of any card so far. */
    private static final int FLUSH_ROWS = 16_384;

    private static final int SMALL_ROWS = 256;
    private static final int FLUSH_COLUMNS = 4096;

    private final Device device;
    private final Owned owned;
    private final int flushRows;
    private final Cublas blas;
    private final DeviceMemory flush;
    private final DeviceMemory vector;
    private final DeviceMemory result;
    private final Event begun;
    private final Event ended;

    /**
     * Does not take over the device. To be made on its thread.
     *
     * @param small whether the cache need not be emptied whole
     */
    Card(Device device, boolean small) {
        this.device = device;
        flushRows = small ? SMALL_ROWS : FLUSH_ROWS;
        owned = new Owned(device);
        try {
            blas = owned.add(new Cublas(device));
            flush = owned.zeros((long) Float.BYTES * flushRows * FLUSH_COLUMNS, "a buffer that empties the cache");
            vector = owned.zeros((long) Float.BYTES * FLUSH_COLUMNS, "a vector to read it with");
            result = owned.allocate((long) Float.BYTES * flushRows, "what reading it gives");
            begun = owned.add(device.event());
            ended = owned.add(device.event());
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
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

    /**
     * Times work that runs once, in milliseconds, without a call before it. The cache is emptied before the clock starts, by
     * reading a large matrix: writing one would leave it full of lines to be written back while the clock runs.
     */
    double timeOnce(Runnable work) {
        return device.call(() -> {
            blas.productTransposed(flushRows, 1, FLUSH_COLUMNS, flush.address(), vector.address(), result.address());
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
        owned.close();
    }
}
