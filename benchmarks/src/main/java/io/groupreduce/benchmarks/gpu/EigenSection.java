package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.CudaTruncatedEigen;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.util.Arrays;

/** The leading eigenpairs of the Gram matrices of 16 groups. */
final class EigenSection {
    private static final int COUNT = 16;
    /** A guess. */
    private static final int SECONDS = 12;

    private EigenSection() {}

    static void run(Card card, BigMatrix big, boolean small, Report report) {
        if (!report.hasTime("eigenpairs", SECONDS)) {
            return;
        }
        Device device = card.device();
        int columns = big.matrix().columns();
        int count = small ? 2 : COUNT;
        int repeats = small ? 2 : 5;
        long bytes = (long) count * columns * columns * Double.BYTES;
        report.section("Eigenpairs of " + count + " symmetric matrices of order " + columns + ", binary64");
        report.table("what", "ms");
        try (DeviceMemory grams = device.call(() -> device.allocate(bytes, "Gram matrices"));
                DeviceMemory copy = device.call(() -> device.allocate(bytes, "a copy of the Gram matrices"));
                DeviceMemory vectors = device.call(() -> device.allocate(bytes, "eigenvectors"));
                CudaTruncatedEigen eigen = device.call(() -> new CudaTruncatedEigen(device, card.blas()))) {
            device.run(() -> big.grams(card, count, grams.address()));
            for (int rank : new int[] {columns / 8, columns}) {
                int[] ranks = new int[count];
                Arrays.fill(ranks, rank);
                Times times = card.time(repeats, () -> {
                    // The full solver destroys what it is given; and no round may start from the vectors of the one
                    // before.
                    eigen.forget();
                    device.stream().copy(copy.address(), grams.address(), bytes);
                    eigen.leading(copy.address(), columns, ranks, vectors.address());
                });
                report.row("ours, " + rank + " leading pairs each, from a cold start", times);
            }
        }
    }
}
