package io.groupreduce.benchmarks;

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
import io.groupreduce.testkit.SyntheticMatrix;
import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** A whole compression in memory, seconds a run: each method on a seeded matrix of 20,000 x 512, refinement included. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class CompressionBenchmark {
    private static final int ROWS = 20_000;
    private static final int COLUMNS = 512;
    private static final long SEED = 42;

    @Param({"1", "2"})
    int threads;

    @Param({"SVD", "WEIGHTED_SVD", "GROUPREDUCE", "RATE_DISTORTION"})
    Method method;

    private Arena arena;
    private Backend backend;
    private Matrix matrix;
    private long[] counts;

    @Setup
    public void open() {
        arena = Arena.ofShared();
        backend = BackendSelection.select(Device.CPU, threads).backend();
        matrix = new SyntheticMatrix(SEED, COLUMNS, 0.5).offHeap(arena, ROWS);
        counts = SyntheticMatrix.zipfCounts(SEED, ROWS, 100.0 * ROWS);
    }

    @TearDown
    public void close() {
        backend.close();
        arena.close();
    }

    /** The paper's methods in F32, as the NumPy peer has them: ranks, and so the work, follow the codec. */
    @Benchmark
    public double compress() {
        CompressionOptions options = CompressionOptions.defaults().withMethod(method);
        try (Arena result = Arena.ofShared()) {
            CompressionResult found = GroupReduce.compress(
                    backend,
                    matrix,
                    counts,
                    null,
                    method == Method.RATE_DISTORTION ? options : options.withCodec(Codec.F32),
                    result,
                    Progress.NONE);
            return found.summary().relativeError();
        }
    }
}
