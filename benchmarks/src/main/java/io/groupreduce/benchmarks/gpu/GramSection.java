package io.groupreduce.benchmarks.gpu;

import io.groupreduce.api.Backend;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import java.util.Arrays;

/** The weighted Gram matrices of all groups against the best that cuBLAS reaches on rows that lie ready. */
final class GramSection {
    private static final int GROUPS = 16;
    /** A guess. */
    private static final int SECONDS = 15;

    private static final double WANTED_SHARE = 0.8;

    private GramSection() {}

    static void run(Card card, Backend backend, BigMatrix big, boolean small, Report report) {
        if (!report.hasTime("Gram matrices", SECONDS)) {
            return;
        }
        int rows = big.matrix().rows();
        int columns = big.matrix().columns();
        int repeats = small ? 2 : 5;
        double flops = (double) rows * columns * columns;
        report.section("Weighted Gram matrices, " + rows + " x " + columns + ", " + GROUPS + " groups (" + rows
                + " * D^2 operations counted)");
        report.table("what", "ms", "TFLOP/s");

        byte[] basisOf = new byte[rows];
        byte[] none = new byte[rows];
        Arrays.fill(none, (byte) GroupPlan.DENSE);
        for (int i = 0; i < rows; i++) {
            basisOf[i] = (byte) (i % GROUPS);
        }
        Times ours;
        try (CompressionWorkspace workspace =
                ComputeBackend.of(backend).open(CompressionProblem.weighted(big.matrix(), big.weights()))) {
            double[] milliseconds = new double[repeats];
            for (int r = -1; r < repeats; r++) {
                // A start from nothing each time: no row belongs to a basis.
                workspace.accumulate(none, GROUPS);
                double once = card.timeOnce(() -> workspace.accumulate(basisOf, GROUPS));
                if (r >= 0) {
                    milliseconds[r] = once;
                }
            }
            ours = new Times(milliseconds);
        }
        double best = Math.max(
                syrk(card, rows, columns, true, repeats, flops, report),
                syrk(card, rows, columns, false, repeats, flops, report));
        report.row("ours, gathered by group and weighted, as the workspace does it", ours, rate(flops, ours));
        report.atLeast("Gram, of the best rate of cuBLAS's syrk", WANTED_SHARE, flops / ours.median() / best);
    }

    /** Operations a millisecond of one syrk over rows that lie ready, an eighth of them in binary64. */
    private static double syrk(
            Card card, int rows, int columns, boolean fp64, int repeats, double flops, Report report) {
        Device device = card.device();
        int part = rows / 8;
        long bytes = (long) part * columns * (fp64 ? Double.BYTES : Float.BYTES);
        long gramBytes = (long) columns * columns * Double.BYTES;
        try (DeviceMemory ready = device.call(() -> device.allocate(bytes, "rows for syrk"));
                DeviceMemory gram = device.call(() -> device.allocate(gramBytes, "a Gram matrix"))) {
            device.run(() -> fill(device, ready, bytes, fp64));
            Times times = card.time(repeats, () -> {
                Operand stored = Operand.of(ready.address(), columns);
                Operand target = Operand.of(gram.address(), columns);
                if (fp64) {
                    card.blas().dsyrk(columns, part, 1, stored, 0, target);
                } else {
                    card.blas().ssyrk(columns, part, 1, stored, 0, target);
                }
            });
            report.row(
                    "cuBLAS " + (fp64 ? "dsyrk" : "ssyrk") + " on " + part + " rows that lie ready",
                    times,
                    rate(flops / 8, times));
            return flops / 8 / times.median();
        }
    }

    /** Numbers about 1: never time on zeros. */
    private static void fill(Device device, DeviceMemory target, long bytes, boolean fp64) {
        BigMatrix.fillWithNoise(device, target.address(), bytes, fp64);
    }

    private static String rate(double flops, Times times) {
        return Times.digits(flops / times.median() / 1e9);
    }
}
