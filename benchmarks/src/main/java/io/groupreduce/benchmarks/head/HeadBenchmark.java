package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.Pruning;
import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
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

/** The fused softmax of one group with one basis, and its peers, under JMH, microseconds a batch. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class HeadBenchmark {
    /** What all heads are asked. */
    @State(Scope.Benchmark)
    public static class Asked {
        @Param({"10000x200"})
        String size;

        @Param({"1", "16", "64"})
        int batch;

        @Param({"1", "2"})
        int threads;

        final Arena arena = Arena.ofShared();
        HeadShape shape;
        Batch batches;
        int turn;

        @Setup
        public void open() {
            shape = HeadShape.parse(size);
            batches = HeadMatrices.queries(shape).batches(arena, batch);
        }

        @TearDown
        public void close() {
            arena.close();
        }
    }

    /** A compressed head, in our kernels and in OpenBLAS. */
    @State(Scope.Benchmark)
    public static class Factors {
        @Param({"64"})
        int rank;

        @Param({"F32", "BF16", "INT8", "INT4", "INT3"})
        Codec codec;

        Backend backend;
        OurHead ours;
        BlasFactorHead openBlas;

        @Setup
        public void open(Asked asked) {
            CompressedMatrix matrix = HeadMatrices.plain(asked.arena, asked.shape, rank, codec);
            backend = BackendSelection.select(Device.CPU, asked.threads).backend();
            ours = new OurHead(backend, matrix, null, Pruning.AUTO);
            OpenBlas blas = new OpenBlas();
            blas.threads(asked.threads);
            openBlas = new BlasFactorHead(blas, matrix, null, asked.threads);
        }

        @TearDown
        public void close() {
            openBlas.close();
            ours.close();
            backend.close();
        }
    }

    /** A dense head in the peers. */
    @State(Scope.Benchmark)
    public static class Dense {
        HeadModel model;
        Path folder;
        BlasDenseHead openBlas;
        OnnxHead onnx;
        OnnxHead onnxInt8;

        @Setup
        public void open(Asked asked) throws IOException {
            model = HeadModel.synthetic(asked.shape, null);
            folder = Files.createTempDirectory("groupreduce-onnx");
            OpenBlas blas = new OpenBlas();
            blas.threads(asked.threads);
            openBlas = new BlasDenseHead(blas, model.dense(), null, asked.threads);
            onnx = onnx(asked.threads, false);
            onnxInt8 = onnx(asked.threads, true);
        }

        private OnnxHead onnx(int threads, boolean quantized) {
            Path file = OnnxFiles.model(folder, "head", model.dense(), null, quantized);
            return new OnnxHead("ONNX Runtime", file, model.dense().bytes(), threads);
        }

        @TearDown
        public void close() throws IOException {
            onnxInt8.close();
            onnx.close();
            openBlas.close();
            model.close();
            OnnxFiles.delete(folder);
        }
    }

    /** Top-10, without log-probabilities. */
    @Benchmark
    public void top(Asked asked, Factors heads) {
        heads.ours.top(asked.batches, asked.turn++);
    }

    @Benchmark
    public void topWithLogProbabilities(Asked asked, Factors heads) {
        heads.ours.topWithLogProbabilities(asked.batches, asked.turn++);
    }

    @Benchmark
    public void topWithLogProbabilitiesOpenBlas(Asked asked, Factors heads) {
        heads.openBlas.topWithLogProbabilities(asked.batches, asked.turn++);
    }

    /** The log-probabilities of targets. */
    @Benchmark
    public void score(Asked asked, Factors heads) {
        heads.ours.score(asked.batches, asked.turn++);
    }

    @Benchmark
    public void scoreOpenBlas(Asked asked, Factors heads) {
        heads.openBlas.score(asked.batches, asked.turn++);
    }

    @Benchmark
    public void topDenseOpenBlas(Asked asked, Dense heads) {
        heads.openBlas.top(asked.batches, asked.turn++);
    }

    @Benchmark
    public void topDenseOnnx(Asked asked, Dense heads) {
        heads.onnx.top(asked.batches, asked.turn++);
    }

    @Benchmark
    public void topDenseOnnxInt8(Asked asked, Dense heads) {
        heads.onnxInt8.top(asked.batches, asked.turn++);
    }
}
