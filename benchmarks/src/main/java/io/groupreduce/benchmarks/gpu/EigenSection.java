package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.CudaTruncatedEigen;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.util.Arrays;

/** The leading eigenpairs of the Gram matrices of 16 groups. */
final class EigenSection {
    private static final int COUNT = 16;

    private EigenSection() {}

    static void run(Card card, BigMatrix big, TorchPeer torch, boolean quick, Report report) {
        Device device = card.device();
        int columns = big.matrix().columns();
        int count = quick ? 2 : COUNT;
        int repeats = quick ? 2 : 5;
        long bytes = (long) count * columns * columns * Double.BYTES;
        report.section("Eigenpairs of " + count + " symmetric matrices of order " + columns + ", binary64");
        report.table("what", "ms");
        try (DeviceMemory grams = device.call(() -> device.allocate(bytes, "Gram matrices"));
                DeviceMemory copy = device.call(() -> device.allocate(bytes, "a copy of the Gram matrices"));
                DeviceMemory vectors = device.call(() -> device.allocate(bytes, "eigenvectors"));
                CudaTruncatedEigen eigen = device.call(() -> new CudaTruncatedEigen(device, card.blas()))) {
            device.run(() -> big.grams(card, count, columns, grams.address()));
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
        if (torch != null) {
            Times theirs = torch.times(TorchPeer.request("eigh")
                    .put("columns", columns)
                    .put("count", count)
                    .put("repeats", Math.min(2, repeats)));
            report.row(
                    torch.description() + ", torch.linalg.eigh, all pairs", theirs == null ? "out of memory" : theirs);
        }
    }
}
