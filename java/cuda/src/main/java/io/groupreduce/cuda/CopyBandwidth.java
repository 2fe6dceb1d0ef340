package io.groupreduce.cuda;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Event;

/** What the memory of a card gives: a large copy inside it, the measure of all kernels that mostly read. */
final class CopyBandwidth {
    /** Far more than any second-level cache holds. */
    private static final long BYTES = 512L << 20;

    private static final int COPIES = 4;

    private CopyBandwidth() {}

    /** Bytes read and written a second; on the device's thread. */
    static double measure(Device device) {
        long bytes = Math.max(1, Math.min(BYTES, device.availableMemory() / 4));
        try (DeviceMemory from = device.allocate(bytes, "the source of a copy");
                DeviceMemory to = device.allocate(bytes, "the target of a copy");
                Event begun = device.event();
                Event ended = device.event()) {
            device.stream().clear(from.address(), bytes);
            device.stream().copy(to.address(), from.address(), bytes);
            device.stream().record(begun);
            for (int copy = 0; copy < COPIES; copy++) {
                device.stream().copy(to.address(), from.address(), bytes);
            }
            device.stream().record(ended);
            ended.synchronize();
            return 2.0 * COPIES * bytes / (Event.milliseconds(begun, ended) / 1e3);
        }
    }
}
