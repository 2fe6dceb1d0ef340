package io.groupreduce.cuda.training;

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

/** Calibration and comparison alone, on a device that stays open. */
final class TrainingBackend implements Backend {
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
        return SoftmaxPair.compare(device, blas, task);
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
