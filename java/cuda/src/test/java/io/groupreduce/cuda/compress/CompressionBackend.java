package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.training.CudaSoftmaxPair;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;

/** Compression and comparison, on a device that stays open. */
final class CompressionBackend implements ComputeBackend {
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
        return device.call(() -> CudaSoftmaxPair.compare(device, blas, task));
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
