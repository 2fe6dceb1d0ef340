package io.groupreduce.vector;

import io.groupreduce.api.Threads;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import io.groupreduce.vector.compress.VectorWorkspace;
import io.groupreduce.vector.inference.SoftmaxPair;
import io.groupreduce.vector.inference.VectorInference;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import io.groupreduce.vector.training.VectorCalibration;
import java.util.function.IntConsumer;

/** The CPU backend: single-precision kernels on the Java Vector API, shared out over the threads that the caller allows. */
public final class VectorBackend implements ComputeBackend {
    private final Workers workers;

    /** {@code threads} of its own. */
    public VectorBackend(int threads) {
        this(Threads.own(threads));
    }

    /** Starts no thread yet. */
    public VectorBackend(Threads threads) {
        workers = new Workers(threads);
    }

    /** The vector shape of this machine, for a person. */
    static String shape() {
        return Lanes.FLOATS.vectorBitSize() + "-bit vectors";
    }

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public String description() {
        return "Java Vector API, " + shape() + ", " + workers.count() + (workers.count() == 1 ? " thread" : " threads");
    }

    @Override
    public void forEach(int tasks, IntConsumer task) {
        workers.run(tasks, (t, worker) -> task.accept(t));
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return new VectorWorkspace(workers, problem);
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return SoftmaxPair.compare(workers, task);
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return new VectorCalibration(workers, problem);
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        return new VectorInference(workers, problem);
    }

    @Override
    public void close() {
        workers.close();
    }
}
