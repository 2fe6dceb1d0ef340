package io.groupreduce.cuda.compress;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CalibrationProblem;
import io.groupreduce.backend.CalibrationSession;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.InferenceProblem;
import io.groupreduce.backend.InferenceSession;
import io.groupreduce.backend.SoftmaxComparison;
import io.groupreduce.backend.TokenScores;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.training.SoftmaxPair;

/** Compression and comparison, on a device that stays open. */
final class CompressionBackend implements Backend {
    private final Device device;
    private final Cublas blas;

    CompressionBackend(Device device) {
        this.device = device;
        blas = device.call(() -> new Cublas(device));
    }

    @Override
    public String name() {
        return "compression on " + device.name();
    }

    @Override
    public String description() {
        return device.properties().summary();
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return device.call(() -> new CudaWorkspace(device, blas, problem));
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return device.call(() -> SoftmaxPair.compare(device, blas, task));
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        throw new UnsupportedOperationException("compression and comparison alone");
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        throw new UnsupportedOperationException("compression and comparison alone");
    }

    @Override
    public void close() {
        blas.close();
    }
}
