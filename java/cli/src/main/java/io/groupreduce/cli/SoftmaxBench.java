package io.groupreduce.cli;

import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.cli.SoftmaxCase.Contestant;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.DoubleSupplier;

/**
 * Times softmax queries of a compressed matrix: as it is stored, in other codecs, and a dense F32 matrix of its shape, all on the
 * same backend. Contestants take turns in rounds, memory's read bandwidth among them, so that a machine that slows down slows all.
 */
final class SoftmaxBench implements AutoCloseable {
    /** The codec, in the result, of the matrix as it is stored. */
    static final String STORED = "stored";

    /** The codec, in the result, of the dense matrix. */
    static final String DENSE = "dense-f32";

    /** What the standard deviation of a state's logits is, about that of trained models. */
    static final double LOGIT_DEVIATION = 3;

    static final int LARGEST_BATCH = 256;

    private static final int[] BATCHES = {1, 4, 16, 64, LARGEST_BATCH};
    private static final List<Codec> CODECS = List.of(Codec.F32, Codec.BF16, Codec.INT8, Codec.INT4);

    /** A contestant of more is measured on its first rows: memory and patience end. */
    private static final long MOST_BYTES = 1_000_000_000;

    /** Memory of this size is read to measure bandwidth, or as much as the file has, so that it does not stay in caches. */
    private static final long LEAST_BUFFER = 256L << 20;

    /** A thread's part of less would stay in the caches of a core. */
    private static final long LEAST_BYTES_A_THREAD = 16L << 20;

    private static final int BANDWIDTH_PASSES = 3;
    private static final int ROUNDS = 9;
    private static final long SLICE = 5_000_000;

    /** Warming up ends when the medians of a round differ by less than this from those before, in the geometric mean. */
    private static final double STABLE = 0.02;

    /** The compiler works beside the program: a round may be like the one before and the next one twice as fast. */
    private static final long LEAST_WARM_UP = 2_000_000_000L;

    /** The part of the time that is left which warming up may take. */
    private static final double WARM_UP = 0.35;

    /** Rounds, one to warm up among them, for which a batch must leave time. */
    private static final int FEWEST_ROUNDS = 4;

    private final Arena arena = Arena.ofShared();
    private final List<Contestant> contestants = new ArrayList<>();
    private final List<SoftmaxCase> cases = new ArrayList<>();
    /** GB/s, 10^9 bytes a second, measured once a call: the device's own memory, or the machine's. */
    private final DoubleSupplier bandwidth;

    /** {@code null} for a device with memory of its own. */
    private ReadBandwidth reading;

    private final float[] hidden;
    private final int allRows;
    private final int columns;
    private final long deadline;
    private final Progress progress;
    private double[] passes = {};

    /**
     * Loads the contestants.
     *
     * @param bias the model's, length N, or {@code null}; one of the matrix comes first
     * @param threads how many read memory to measure bandwidth
     * @param fileBytes what the bandwidth is measured on, within limits
     * @param nanos how long the measurement may take, loading included; one round is made in any case
     */
    SoftmaxBench(
            Backend backend,
            CompressedMatrix matrix,
            float[] bias,
            int threads,
            long fileBytes,
            long nanos,
            Progress progress) {
        this.deadline = System.nanoTime() + nanos;
        this.progress = progress;
        this.allRows = matrix.rows();
        this.columns = matrix.columns();
        try {
            progress.at("loading", 0);
            load(backend, matrix, bias);
            hidden = BenchMatrices.hidden(matrix, LARGEST_BATCH, LOGIT_DEVIATION);
            bandwidth = bandwidth(backend, threads, fileBytes);
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    private DoubleSupplier bandwidth(Backend backend, int threads, long fileBytes) {
        if (DeviceOptions.isGpu(backend)) {
            return () -> ComputeBackend.of(backend).memoryBandwidth().orElseThrow() / 1e9;
        }
        long most = Math.min(MOST_BYTES, Runtime.getRuntime().maxMemory() / 4);
        long bytes = Math.min(most, Math.max(LEAST_BUFFER, fileBytes));
        reading = new ReadBandwidth(Math.max(threads * LEAST_BYTES_A_THREAD, bytes), threads);
        return () -> reading.measure() / 1e9;
    }

    private void load(Backend backend, CompressedMatrix matrix, float[] model) {
        float[] bias = matrix.bias() == null ? model : matrix.bias();
        long biasBytes = matrix.bias() != null
                ? (long) Short.BYTES * matrix.rows()
                : bias == null ? 0 : (long) Float.BYTES * matrix.rows();
        long denseBytes = (long) matrix.rows() * columns * Float.BYTES;
        int denseRows = rowsThatFit(matrix, denseBytes);
        add(backend, BenchMatrices.dense(matrix, denseRows, arena), DENSE, denseBytes, bias, biasBytes);
        add(backend, matrix, STORED, BenchMatrices.factorBytes(matrix), bias, biasBytes);
        for (Codec codec : CODECS) {
            long bytes = BenchMatrices.recodedBytes(matrix, codec);
            CompressedMatrix recoded = BenchMatrices.recoded(matrix, codec, rowsThatFit(matrix, bytes), arena);
            add(backend, recoded, codec.label(), bytes, bias, biasBytes);
        }
    }

    private static int rowsThatFit(CompressedMatrix matrix, long bytes) {
        long most = Math.min(MOST_BYTES, Runtime.getRuntime().maxMemory() / 5);
        return bytes <= most ? matrix.rows() : (int) Math.max(1, (double) most / bytes * matrix.rows());
    }

    /** Loads a matrix of all rows or the first ones, whose bias is {@code bias}. */
    private void add(
            Backend backend, CompressedMatrix matrix, String codec, long allBytes, float[] bias, long biasBytes) {
        int rows = matrix.rows();
        float[] itsBias = bias == null ? null : Arrays.copyOf(bias, rows);
        SoftmaxHead head = SoftmaxHead.of(backend, matrix, itsBias, HeadOptions.defaults());
        long bytes = BenchMatrices.factorBytes(matrix);
        // Time goes with the bytes: the first rows may have other ranks than the last ones.
        double part = bytes == 0 ? (double) rows / allRows : (double) bytes / allBytes;
        contestants.add(new Contestant(codec, head, rows, allBytes + biasBytes, part));
    }

    /** Measures for as long as the time allows. */
    SoftmaxFigures run() {
        progress.at("warming up", 0.2);
        for (Contestant contestant : contestants) {
            // A backend may lay a matrix out on its first query.
            contestant.head().greedy(States.of(hidden).first(1));
        }
        boolean fits = true;
        for (int b = 0; b < BATCHES.length && fits; b++) {
            fits = tryBatch(b);
        }
        warmUp();
        long longest = 0;
        for (int round = 0; round < ROUNDS && (round == 0 || longest < deadline - System.nanoTime()); round++) {
            progress.at("round " + (round + 1) + " of " + ROUNDS, 0.4 + 0.6 * round / ROUNDS);
            long begun = System.nanoTime();
            for (SoftmaxCase each : cases) {
                each.count(each.run(SLICE));
            }
            int known = passes.length;
            passes = Arrays.copyOf(passes, known + BANDWIDTH_PASSES);
            for (int pass = known; pass < passes.length; pass++) {
                passes[pass] = bandwidth.getAsDouble();
            }
            longest = Math.max(longest, System.nanoTime() - begun);
        }
        return new SoftmaxFigures(SoftmaxCase.median(passes.clone(), passes.length), cases);
    }

    /** Runs the queries of a batch size for the first time; says whether there is time for the next size. */
    private boolean tryBatch(int b) {
        float[] states = Arrays.copyOf(hidden, BATCHES[b] * columns);
        List<SoftmaxCase> added = new ArrayList<>();
        for (Contestant contestant : contestants) {
            added.add(SoftmaxCase.top(contestant, BATCHES[b], states));
        }
        if (BATCHES[b] == 1) {
            for (Contestant contestant : contestants) {
                added.add(SoftmaxCase.greedy(contestant, BATCHES[b], states));
            }
        }
        added.forEach(each -> each.run(SLICE));
        cases.addAll(added);
        if (b + 1 == BATCHES.length) {
            return false;
        }
        double round = cases.stream().mapToDouble(SoftmaxCase::fastest).sum();
        double next = added.stream().mapToDouble(SoftmaxCase::fastest).sum() * BATCHES[b + 1] / BATCHES[b];
        return FEWEST_ROUNDS * (round + next) * 1e9 < deadline - System.nanoTime();
    }

    private void warmUp() {
        long begun = System.nanoTime();
        long most = (long) (WARM_UP * (deadline - begun));
        double before = Double.NaN;
        long round = 0;
        boolean stable = false;
        while (!stable && System.nanoTime() - begun + round < most) {
            long roundBegun = System.nanoTime();
            double logarithm = 0;
            for (SoftmaxCase each : cases) {
                logarithm += Math.log(each.run(SLICE)) / cases.size();
            }
            bandwidth.getAsDouble();
            long now = System.nanoTime();
            round = now - roundBegun;
            stable = now - begun > LEAST_WARM_UP && Math.abs(logarithm - before) < STABLE;
            before = logarithm;
        }
    }

    /** The bits of a matrix's rows, for a person. */
    static String bits(CompressedMatrix matrix) {
        List<String> names = matrix.groups().stream()
                .filter(plan -> !plan.isZero())
                .sorted(Comparator.comparingInt(plan -> -plan.profile().most()))
                .map(Figures::widest)
                .distinct()
                .toList();
        return names.isEmpty() ? "only zeros" : String.join(", ", names);
    }

    @Override
    public void close() {
        for (Contestant contestant : contestants) {
            contestant.head().close();
        }
        if (reading != null) {
            reading.close();
        }
        arena.close();
    }
}
