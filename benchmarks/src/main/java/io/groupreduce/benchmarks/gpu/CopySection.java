package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;

/** What the card's memory gives: a large copy inside it, bytes read and bytes written both counted. */
final class CopySection {
    private static final long BYTES = 1L << 30;
    private static final long QUICK_BYTES = 1L << 24;

    private CopySection() {}

    /** Bytes a millisecond, the measure of all reading kernels. */
    static double run(Card card, boolean quick, Report report) {
        Device device = card.device();
        long bytes = quick ? QUICK_BYTES : BYTES;
        try (DeviceMemory from = device.call(() -> device.allocate(bytes, "the source of a copy"));
                DeviceMemory to = device.call(() -> device.allocate(bytes, "the target of a copy"))) {
            device.run(() -> device.stream().clear(from.address(), bytes));
            Times times = card.time(20, () -> device.stream().copy(to.address(), from.address(), bytes));
            double rate = 2.0 * bytes / times.median();
            report.section("Copy inside the card's memory");
            report.table("bytes", "ms", "GB/s read and written");
            report.row(bytes, times, Times.digits(rate / 1e6));
            return rate;
        }
    }
}
