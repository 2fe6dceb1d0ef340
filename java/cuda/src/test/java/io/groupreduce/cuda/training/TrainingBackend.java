package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;

/** Calibration and comparison alone, on a device that stays open. */
final class TrainingBackend implements ComputeBackend {
    private final Device device;
    private final Cublas blas;

    TrainingBackend(Device device) {
        this.device = device;
        blas = device.call(() -> new Cublas(device));
    }

    Cublas blas() {
        return blas;
    }

    @Override
    public String name() {
        return "training on " + device.name();
    }

    @Override
    public String description() {
        return device.properties().summary();
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        throw new UnsupportedOperationException("training alone");
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return CudaSoftmaxPair.compare(device, blas, task);
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return device.call(() -> new CudaCalibration(device, blas, problem));
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        throw new UnsupportedOperationException("training alone");
    }

    @Override
    public void close() {
        blas.close();
    }
}
