package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.internal.compress.EqualMassGroups;
import io.groupreduce.internal.compress.Weights;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.nio.file.Path;
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
import picocli.CommandLine.Parameters;

/**
 * Times softmax queries of a compressed file; without one the steps of a compression, a whole compression, an evaluation and softmax
 * queries on a synthetic matrix.
 */
@Command(
        name = "bench",
        description = {
            "Latency of softmax queries of a compressed file, or throughput of compression and latency of queries of a"
                    + " synthetic matrix, on this machine."
        })
final class BenchCommand implements Callable<Integer> {
    private static final long SEED = 42;
    private static final int GROUPS = 5;
    private static final int RANK = 64;
    private static final int TOKENS = 256;
    private static final int ROWS = 50_000;
    private static final int COLUMNS = 512;
    private static final int REPEATS = 3;

    /** A large file takes some seconds more, to open and to finish a round, and must take less than a minute. */
    private static final long FILE_NANOS = 45_000_000_000L;

    private static final long SYNTHETIC_NANOS = 20_000_000_000L;

    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Parameters(
            arity = "0..1",
            paramLabel = "FILE",
            description = "A file that 'groupreduce compress' wrote (default: a synthetic matrix is compressed).")
    Path file;

    @Option(names = "--tensor", paramLabel = "NAME", description = "Which matrix of FILE (default: the output matrix).")
    String tensor;

    @Option(names = "--rows", paramLabel = "N", description = "Rows of the synthetic matrix (default: 50000).")
    Integer givenRows;

    @Option(names = "--columns", paramLabel = "D", description = "Columns of the synthetic matrix (default: 512).")
    Integer givenColumns;

    @Option(
            names = "--repeats",
            paramLabel = "R",
            description = "Runs of each step of compression after one that warms up; the median counts (default: 3).")
    Integer givenRepeats;

    private int rows;
    private int columns;
    private int repeats;

    /** One line of the result: work done per second, in {@code unit}. */
    private record Line(String step, double seconds, double spread, double rate, String unit) {}

    @Override
    public Integer call() {
        boolean synthetic = givenRows != null || givenColumns != null || givenRepeats != null;
        if (file != null && synthetic) {
            throw new InvalidOptionException(
                    "--rows, --columns and --repeats are for the synthetic matrix; leave them out, or leave out " + file
                            + ".");
        }
        if (file == null && tensor != null) {
            throw new InvalidOptionException("--tensor chooses a matrix of a compressed file; name the file too.");
        }
        rows = givenRows == null ? ROWS : givenRows;
        columns = givenColumns == null ? COLUMNS : givenColumns;
        repeats = givenRepeats == null ? REPEATS : givenRepeats;
        if (rows < 100 || columns < 2 || repeats < 1 || (long) rows * columns > 1L << 33) {
            throw new InvalidOptionException(
                    "--rows must be at least 100, --columns and --repeats at least 2 and 1, and"
                            + " rows x columns at most 2^33.");
        }
        try (Backend backend = device.start(common::tell)) {
            if (file == null) {
                synthetic(backend);
            } else {
                stored(backend);
            }
        }
        return 0;
    }

    private void stored(Backend backend) {
        try (CompressedFile compressed = CompressedFile.open(file)) {
            CompressedMatrix matrix = tensor == null ? output(compressed) : compressed.require(tensor);
            float[] bias = compressed
                    .softmaxBias(tensor == null ? matrix.name() : tensor)
                    .orElse(null);
            SoftmaxFigures figures;
            try (Bar bar = Bar.start("bench", !common.json)) {
                figures = softmax(backend, matrix, bias, FILE_NANOS, bar);
            }
            common.print(Texts.format(
                    "%s: %s, %d x %d, %s (%s), %s coordinates a row",
                    file,
                    matrix.name(),
                    matrix.rows(),
                    matrix.columns(),
                    Figures.bytes(matrix.bytes()),
                    SoftmaxBench.bits(matrix),
                    Figures.mean(matrix.coordinatesPerRow())));
            print(backend, figures, matrix.rows());
            Map<String, Object> document = head(backend);
            document.put("file", file.toString());
            document.put("tensor", matrix.name());
            document.put("rows", matrix.rows());
            document.put("columns", matrix.columns());
            document.put("coordinatesPerRow", matrix.coordinatesPerRow());
            put(document, figures);
            common.printJson(document);
        }
    }

    private static CompressedMatrix output(CompressedFile compressed) {
        try {
            return compressed.outputMatrix();
        } catch (InvalidDataException e) {
            throw new InvalidDataException(e.getMessage() + " --tensor takes the name.", e);
        }
    }

    private SoftmaxFigures softmax(
            Backend backend, CompressedMatrix matrix, float[] bias, long nanos, Progress progress) {
        try (SoftmaxBench bench = new SoftmaxBench(
                backend, matrix, bias, device.threads(backend), matrix.residentBytes(), nanos, progress)) {
            return bench.run();
        }
    }

    private void print(Backend backend, SoftmaxFigures figures, int matrixRows) {
        int threads = device.threads(backend);
        String how = DeviceOptions.isGpu(backend)
                ? "copied (bytes read and written) at %.1f GB/s"
                : "read at %.1f GB/s with " + threads + (threads == 1 ? " thread" : " threads");
        common.print(Texts.format(
                "%s: memory is " + how + "; hidden states are random, logits have standard deviation %.0f",
                backend.description(),
                figures.readBandwidthGBs(),
                SoftmaxBench.LOGIT_DEVIATION));
        common.print("");
        figures.lines(matrixRows).forEach(common::print);
    }

    /** What every document begins with. */
    private Map<String, Object> head(Backend backend) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("device", backend.name());
        document.put("description", backend.description());
        document.put("threads", device.threads(backend));
        return document;
    }

    private static void put(Map<String, Object> document, SoftmaxFigures figures) {
        document.put("readBandwidthGBs", figures.readBandwidthGBs());
        document.put("denseRowsMeasured", figures.denseRowsMeasured());
        document.put("softmax", figures.documents(SoftmaxCase.TOP));
        document.put("greedy", figures.documents(SoftmaxCase.GREEDY));
    }

    private void synthetic(Backend backend) {
        try (Arena arena = Arena.ofShared()) {
            Matrix matrix = SyntheticData.matrix(arena, SEED, rows, columns);
            long[] counts = SyntheticData.zipfCounts(SEED, rows);
            List<Line> lines = new ArrayList<>();
            SoftmaxFigures figures;
            try (Bar bar = Bar.start("bench", !common.json)) {
                steps(backend, matrix, counts, lines, bar);
                figures = whole(backend, matrix, counts, lines, bar);
            }
            show(backend, lines, figures);
        }
    }

    private void steps(Backend backend, Matrix matrix, long[] counts, List<Line> lines, Progress progress) {
        float[] weights = Weights.scaledToMeanOne(Weights.raw(counts, 1));
        byte[] groupOf = EqualMassGroups.of(counts, GROUPS);
        byte[] nowhere = new byte[rows];
        Arrays.fill(nowhere, (byte) GroupPlan.DENSE);
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
        try (CompressionWorkspace workspace =
                ComputeBackend.of(backend).open(CompressionProblem.weighted(matrix, weights))) {
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

    private SoftmaxFigures whole(Backend backend, Matrix matrix, long[] counts, List<Line> lines, Progress progress) {
        CompressionOptions paper = CompressionOptions.paper();
        progress.at("groupreduce", 0.5);
        lines.add(compression(backend, matrix, counts, "groupreduce, no refinement", paper.withRefineRounds(0)));
        progress.at("groupreduce with refinement", 0.55);
        lines.add(compression(backend, matrix, counts, "groupreduce, 10 rounds", paper));
        progress.at("rate-distortion", 0.65);
        lines.add(compression(backend, matrix, counts, "rate-distortion", CompressionOptions.defaults()));
        progress.at("evaluation", 0.75);
        try (Arena arena = Arena.ofShared()) {
            Matrix hidden = SyntheticData.matrix(arena, SEED + 1, TOKENS, columns);
            CompressionResult result = GroupReduce.compress(
                    backend, matrix, counts, null, paper.withRefineRounds(0), arena, Progress.NONE);
            lines.add(time(
                    "evaluation, dense and compressed",
                    TOKENS,
                    "tokens/s",
                    timed(() -> GroupReduce.evaluate(backend, matrix, null, result.matrix(), hidden, null))));
            return softmax(
                    backend,
                    result.matrix(),
                    null,
                    SYNTHETIC_NANOS,
                    (step, fraction) -> progress.at(step, 0.8 + 0.2 * fraction));
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

    private void show(Backend backend, List<Line> lines, SoftmaxFigures figures) {
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
        common.print("");
        common.print("softmax of the matrix as 'groupreduce, no refinement' has compressed it");
        print(backend, figures, rows);
        Map<String, Object> document = head(backend);
        document.put("rows", rows);
        document.put("columns", columns);
        document.put("repeats", repeats);
        document.put("compression", documents);
        put(document, figures);
        common.printJson(document);
    }
}
