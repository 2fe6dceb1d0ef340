package io.groupreduce.cli;

import io.groupreduce.CompressionOptions;
import io.groupreduce.Evaluation;
import io.groupreduce.GroupReduce;
import io.groupreduce.InvalidOptionException;
import io.groupreduce.Matrix;
import io.groupreduce.Progress;
import io.groupreduce.backend.Backend;
import io.groupreduce.backend.Candidate;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.compress.CompressionResult;
import io.groupreduce.compress.EqualMassGroups;
import io.groupreduce.compress.Weights;
import io.groupreduce.reference.SyntheticMatrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Times the steps of a compression, a whole compression and an evaluation on a synthetic matrix. */
@Command(name = "bench", description = "Throughput of compression and evaluation on this machine.")
final class BenchCommand implements Callable<Integer> {
    private static final long SEED = 42;
    private static final int GROUPS = 5;
    private static final int RANK = 64;
    private static final int TOKENS = 256;

    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Option(
            names = "--rows",
            paramLabel = "N",
            defaultValue = "50000",
            description = "Rows (default: ${DEFAULT-VALUE}).")
    int rows;

    @Option(
            names = "--columns",
            paramLabel = "D",
            defaultValue = "512",
            description = "Columns (default: ${DEFAULT-VALUE}).")
    int columns;

    @Option(
            names = "--repeats",
            paramLabel = "R",
            defaultValue = "3",
            description = "Runs of each step after one that warms up; the median counts (default: ${DEFAULT-VALUE}).")
    int repeats;

    /** One line of the result: work done per second, in {@code unit}. */
    private record Line(String step, double seconds, double spread, double rate, String unit) {}

    @Override
    public Integer call() {
        if (rows < 100 || columns < 2 || repeats < 1 || (long) rows * columns > 1L << 33) {
            throw new InvalidOptionException(
                    "--rows must be at least 100, --columns and --repeats at least 2 and 1, and"
                            + " rows x columns at most 2^33.");
        }
        try (Backend backend = device.start(common::tell);
                Arena arena = Arena.ofShared()) {
            Matrix matrix = new SyntheticMatrix(SEED, columns, 0.5).offHeap(arena, rows);
            long[] counts = SyntheticMatrix.zipfCounts(SEED, rows, 100.0 * rows);
            List<Line> lines = new ArrayList<>();
            try (Bar bar = Bar.start("bench", !common.json)) {
                steps(backend, matrix, counts, lines, bar);
                whole(backend, matrix, counts, lines, bar);
            }
            show(backend, lines);
        }
        return 0;
    }

    private void steps(Backend backend, Matrix matrix, long[] counts, List<Line> lines, Progress progress) {
        float[] weights = Weights.scaledToMeanOne(Weights.raw(counts, 1));
        byte[] groupOf = EqualMassGroups.of(counts, GROUPS);
        byte[] nowhere = new byte[rows];
        Arrays.fill(nowhere, (byte) CompressionWorkspace.NO_BASIS);
        int rank = Math.min(RANK, columns);
        int[] ranks = new int[GROUPS];
        Arrays.fill(ranks, rank);
        List<Candidate> candidates = new ArrayList<>();
        for (int g = 0; g < GROUPS; g++) {
            candidates.add(new Candidate(g, rank, 0));
        }
        double cells = (double) rows * columns;
        byte[] best = new byte[rows];
        float[] gain = new float[rows];
        try (CompressionWorkspace workspace = backend.open(CompressionProblem.weighted(matrix, weights))) {
            progress.at("Gram matrices", 0.1);
            lines.add(time("Gram matrices", cells * columns / 1e9, "GFLOP/s", () -> {
                workspace.accumulate(nowhere, GROUPS);
                long begun = System.nanoTime();
                workspace.accumulate(groupOf, GROUPS);
                return System.nanoTime() - begun;
            }));
            progress.at("eigenvectors", 0.3);
            lines.add(time(
                    "leading " + rank + " eigenvectors", GROUPS, "bases/s", timed(() -> workspace.decompose(ranks))));
            progress.at("row assignment", 0.4);
            lines.add(time(
                    "row assignment",
                    2.0 * cells * rank * GROUPS / 1e9,
                    "GFLOP/s",
                    timed(() -> workspace.assign(candidates, groupOf, best, gain))));
        }
    }

    private void whole(Backend backend, Matrix matrix, long[] counts, List<Line> lines, Progress progress) {
        CompressionOptions paper = CompressionOptions.paper();
        progress.at("groupreduce", 0.5);
        lines.add(compression(backend, matrix, counts, "groupreduce, no refinement", paper.withRefineRounds(0)));
        progress.at("groupreduce with refinement", 0.55);
        lines.add(compression(backend, matrix, counts, "groupreduce, 10 rounds", paper));
        progress.at("rate-distortion", 0.65);
        lines.add(compression(backend, matrix, counts, "rate-distortion", CompressionOptions.defaults()));
        progress.at("evaluation", 0.9);
        float[] states = new float[TOKENS * columns];
        new SyntheticMatrix(SEED + 1, columns, 0.5).next(states, TOKENS);
        Matrix hidden = Matrix.of("hidden", states, TOKENS, columns);
        try (Arena arena = Arena.ofShared()) {
            CompressionResult result = GroupReduce.compress(
                    backend, matrix, counts, null, paper.withRefineRounds(0), arena, Progress.NONE);
            lines.add(time(
                    "evaluation, dense and compressed",
                    TOKENS,
                    "tokens/s",
                    timed(() -> Evaluation.of(backend, matrix, null, result.matrix(), hidden, null))));
        }
    }

    private Line compression(Backend backend, Matrix matrix, long[] counts, String name, CompressionOptions options) {
        return time(name, matrix.bytes() / 1e6, "MB/s", timed(() -> {
            try (Arena arena = Arena.ofShared()) {
                GroupReduce.compress(backend, matrix, counts, null, options, arena, Progress.NONE);
            }
        }));
    }

    private static Supplier<Long> timed(Runnable step) {
        return () -> {
            long begun = System.nanoTime();
            step.run();
            return System.nanoTime() - begun;
        };
    }

    /** The median of the repeats after one run that does not count. */
    private Line time(String step, double work, String unit, Supplier<Long> run) {
        run.get();
        double[] seconds = new double[repeats];
        Arrays.setAll(seconds, r -> run.get() / 1e9);
        Arrays.sort(seconds);
        double median = seconds[repeats / 2];
        return new Line(step, median, seconds[repeats - 1] - seconds[0], work / median, unit);
    }

    private void show(Backend backend, List<Line> lines) {
        common.print(Texts.format("%d x %d F32, %s, median of %d", rows, columns, backend.description(), repeats));
        List<List<String>> table = new ArrayList<>();
        List<Map<String, Object>> documents = new ArrayList<>();
        table.add(List.of("step", "seconds", "spread", "rate", "unit"));
        for (Line line : lines) {
            table.add(List.of(
                    line.step,
                    Texts.format("%.3f", line.seconds),
                    Texts.format("%.3f", line.spread),
                    Texts.format("%.1f", line.rate),
                    line.unit));
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("step", line.step);
            document.put("seconds", line.seconds);
            document.put("spreadSeconds", line.spread);
            document.put("rate", line.rate);
            document.put("unit", line.unit);
            documents.add(document);
        }
        Texts.table(table).forEach(common::print);
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("device", backend.name());
        document.put("description", backend.description());
        document.put("rows", rows);
        document.put("columns", columns);
        document.put("repeats", repeats);
        document.put("compression", documents);
        common.printJson(document);
    }
}
