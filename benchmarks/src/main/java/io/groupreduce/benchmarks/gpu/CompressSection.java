package io.groupreduce.benchmarks.gpu;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Map;
import java.util.function.BiConsumer;

/** Whole compressions: step by step on the card, on two threads of the processor, and PyTorch's low-rank SVD of the same groups. */
final class CompressSection {
    private static final int GROUPS = 16;
    /** The weights of the error that is printed, whatever a method minimised. */
    private static final double WANTED_SECONDS = 1;

    private static final double WANTED_TIMES = 50;
    /** The processor compresses this share of the rows: all of them would take minutes. */
    private static final int PROCESSOR_SHARE = 8;

    private CompressSection() {}

    static void run(Backend backend, BigMatrix big, TorchPeer torch, Report report) {
        Matrix matrix = big.matrix();
        report.section("Whole compression, " + matrix.rows() + " x " + matrix.columns() + " F32, " + GROUPS
                + " groups, 6.6x, refinement included");
        report.table("what", "s", "count-weighted relative error");

        int part = matrix.rows() / PROCESSOR_SHARE;
        long[] counts = Arrays.copyOf(big.counts(), part);
        // The first compression of a process loads kernels and libraries.
        measure(backend, backend, matrix.slice(0, part), counts, Method.GROUPREDUCE, (seconds, error) -> {});

        StepClock clock = new StepClock(ComputeBackend.of(backend));
        double seconds = measure(
                clock,
                backend,
                matrix,
                big.counts(),
                Method.GROUPREDUCE,
                row(report, "groupreduce on " + backend.description()));
        for (Map.Entry<String, Double> step : clock.seconds().entrySet()) {
            report.row("- " + step.getKey(), Times.digits(step.getValue()), "");
        }
        report.row(
                "- the processor between them, its sorts of rows included", Times.digits(seconds - clock.total()), "");
        report.atMost(
                "seconds of groupreduce after the upload, the processor's between the steps included",
                WANTED_SECONDS,
                seconds - clock.seconds().getOrDefault("open", 0.0));
        compress(backend, matrix, big.counts(), Method.RATE_DISTORTION, report, "rate-distortion on the same");

        double onCard = compress(
                backend,
                matrix.slice(0, part),
                counts,
                Method.GROUPREDUCE,
                report,
                "groupreduce, the first " + part + " rows");
        try (Backend processor = BackendSelection.select(Device.CPU, 2).backend()) {
            double onProcessor = compress(
                    processor,
                    matrix.slice(0, part),
                    counts,
                    Method.GROUPREDUCE,
                    report,
                    "the same on " + processor.description());
            report.atLeast(
                    "times as fast as 2 threads of the processor on " + part + " rows",
                    WANTED_TIMES,
                    onProcessor / onCard);
        }
        if (torch != null) {
            torch(torch, matrix, report);
        }
    }

    private static double compress(
            Backend backend, Matrix matrix, long[] counts, Method method, Report report, String name) {
        return measure(backend, backend, matrix, counts, method, row(report, name));
    }

    private static BiConsumer<Double, Double> row(Report report, String name) {
        return (seconds, error) -> report.row(name, Times.digits(seconds), Times.digits(error));
    }

    /** Compresses, has {@code judge} measure the error, and gives both to {@code found}; returns the seconds. */
    private static double measure(
            Backend backend,
            Backend judge,
            Matrix matrix,
            long[] counts,
            Method method,
            BiConsumer<Double, Double> found) {
        try (Arena arena = Arena.ofShared()) {
            // Rate-distortion has the one basis that it takes for matrices so wide.
            CompressionOptions open = CompressionOptions.defaults()
                    .withMethod(method)
                    .withGroups(method == Method.RATE_DISTORTION ? 1 : GROUPS);
            // The goals are for F32 factors of the paper's method: ranks, and so the work, follow the codec.
            CompressionOptions options = method == Method.GROUPREDUCE ? open.withCodec(Codec.F32) : open;
            long begun = System.nanoTime();
            CompressionResult result =
                    GroupReduce.compress(backend, matrix, counts, null, options, arena, Progress.NONE);
            double seconds = (System.nanoTime() - begun) / 1e9;
            double error = GroupReduce.relativeError(judge, matrix, counts, 1, result.matrix());
            found.accept(seconds, error);
            return seconds;
        }
    }

    /** One SVD of every group at the rank of 6.6x, neither weighted nor refined: less work than a compression. */
    private static void torch(TorchPeer torch, Matrix matrix, Report report) {
        ObjectNode request = TorchPeer.request("svd_lowrank")
                .put("columns", matrix.columns())
                .put("repeats", 3);
        ArrayNode rows = request.putArray("rows");
        ArrayNode ranks = request.putArray("ranks");
        for (int g = 0; g < GROUPS; g++) {
            rows.add(matrix.rows() / GROUPS);
            ranks.add((int) (matrix.columns() / 6.6));
        }
        Times times = torch.times(request);
        report.row(
                torch.description() + ", torch.svd_lowrank of " + GROUPS + " groups, no weights, no refinement",
                times == null ? "out of memory" : Times.digits(times.median() / 1e3),
                "");
    }
}
