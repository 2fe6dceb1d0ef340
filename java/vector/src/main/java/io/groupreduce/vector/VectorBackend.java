package io.groupreduce.vector;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CalibrationProblem;
import io.groupreduce.backend.CalibrationSession;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.InferenceProblem;
import io.groupreduce.backend.InferenceSession;
import io.groupreduce.backend.SoftmaxComparison;
import io.groupreduce.backend.TokenScores;
import io.groupreduce.vector.inference.SoftmaxPair;
import io.groupreduce.vector.inference.VectorInference;

/** The CPU backend: single-precision kernels on the Java Vector API, shared out over a fixed number of threads. */
final class VectorBackend implements Backend {
    private final Workers workers;

    /** Starts {@code threads - 1} threads; callers' threads take part. */
    VectorBackend(int threads) {
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
