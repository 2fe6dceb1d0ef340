package io.groupreduce.spi;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import java.util.List;

/** Found by {@link java.util.ServiceLoader}: knows whether a backend can run here, cheaply and without side effects. */
public interface BackendProvider {
    /** The name of the family: {@code reference}, {@code vector}, {@code cuda}. */
    String name();

    /** The kind of device, as {@code --device} names it: {@code cpu} or {@code cuda}. */
    String deviceKind();

    /** Of several that can run, {@code auto} takes the one with the highest number. */
    int preference();

    /** What can run here and why the rest cannot, one entry a device; never empty. */
    List<DeviceStatus> probe();

    /**
     * Starts the backend.
     *
     * @param index which of the devices of {@link #probe}
     * @param threads which threads of the processor it may use
     * @throws io.groupreduce.error.DeviceException if it cannot run
     */
    ComputeBackend create(int index, Threads threads);
}
