package io.groupreduce.benchmarks.gpu;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.function.DoubleConsumer;

/** Whole compressions: step by step on the card, and on two threads of the processor. */
final class CompressSection {
    private static final int GROUPS = 16;
    private static final double WANTED_SECONDS = 1;

    private static final double WANTED_TIMES = 50;
    /** The processor compresses this share of the rows: all of them would take minutes. */
    private static final int PROCESSOR_SHARE = 16;

    /** Guesses, of all, of the other method and of the processor. */
    private static final int SECONDS = 30;

    private static final int SECONDS_OF_RATE_DISTORTION = 30;
    private static final int SECONDS_OF_PROCESSOR = 60;

    private CompressSection() {}

    /** The paper's method on the card, step by step. */
    static void run(Backend backend, BigMatrix big, Report report) {
        if (!report.hasTime("a compression", SECONDS)) {
            return;
        }
        Matrix matrix = big.matrix();
        title(matrix, report);
        int part = matrix.rows() / PROCESSOR_SHARE;
        long[] counts = big.counts();
        // The first compression of a process loads kernels and libraries.
        measure(backend, matrix.slice(0, part), Arrays.copyOf(counts, part), Method.GROUPREDUCE, found -> {});

        StepClock clock = new StepClock(ComputeBackend.of(backend));
        double seconds = measure(clock, matrix, counts, Method.GROUPREDUCE, found -> {
            double total = clock.total();
            row(report, "groupreduce on " + backend.description(), found);
            clock.seconds().forEach((step, taken) -> report.row("- " + step, Times.digits(taken)));
            report.row(
                    "- the processor between them, the choice of rows to move included", Times.digits(found - total));
        });
        report.atMost(
                "seconds of groupreduce after the upload, the processor's between the steps included",
                WANTED_SECONDS,
                seconds - clock.seconds().getOrDefault("open", 0.0));
    }

    /** The default method, and both beside the processor. */
    static void more(Backend backend, BigMatrix big, Report report) {
        if (!report.hasTime("rate-distortion, and the processor", SECONDS_OF_RATE_DISTORTION)) {
            return;
        }
        Matrix matrix = big.matrix();
        title(matrix, report);
        measured(backend, matrix, big.counts(), Method.RATE_DISTORTION, report, "rate-distortion on the card");
        if (!report.hasTime("the processor's compression", SECONDS_OF_PROCESSOR)) {
            return;
        }
        Matrix part = matrix.slice(0, matrix.rows() / PROCESSOR_SHARE);
        long[] counts = Arrays.copyOf(big.counts(), part.rows());
        String rows = "groupreduce, the first " + part.rows() + " rows, on ";
        double onCard = measured(backend, part, counts, Method.GROUPREDUCE, report, rows + backend.description());
        try (Backend processor = BackendSelection.select(Device.CPU, 2).backend()) {
            double onProcessor =
                    measured(processor, part, counts, Method.GROUPREDUCE, report, rows + processor.description());
            report.atLeast(
                    "times as fast as 2 threads of the processor on " + part.rows() + " rows",
                    WANTED_TIMES,
                    onProcessor / onCard);
        }
    }

    private static void title(Matrix matrix, Report report) {
        report.section("Whole compression, " + matrix.rows() + " x " + matrix.columns() + " F32, " + GROUPS
                + " groups, 6.6x, refinement included");
        report.table("what", "s");
    }

    private static void row(Report report, String name, double seconds) {
        report.row(name, Times.digits(seconds));
    }

    private static double measured(
            Backend backend, Matrix matrix, long[] counts, Method method, Report report, String name) {
        return measure(backend, matrix, counts, method, seconds -> row(report, name, seconds));
    }

    /** Compresses, gives the seconds to {@code found} and returns them. */
    private static double measure(Backend backend, Matrix matrix, long[] counts, Method method, DoubleConsumer found) {
        try (Arena arena = Arena.ofShared()) {
            // Rate-distortion has the one basis that it takes for matrices so wide.
            CompressionOptions open = CompressionOptions.defaults()
                    .withMethod(method)
                    .withGroups(method == Method.RATE_DISTORTION ? 1 : GROUPS);
            // The goals are for F32 factors of the paper's method: ranks, and so the work, follow the codec.
            CompressionOptions options = method == Method.GROUPREDUCE ? open.withCodec(Codec.F32) : open;
            long begun = System.nanoTime();
            GroupReduce.compress(backend, matrix, counts, null, options, arena, Progress.NONE);
            double seconds = (System.nanoTime() - begun) / 1e9;
            found.accept(seconds);
            return seconds;
        }
    }
}
