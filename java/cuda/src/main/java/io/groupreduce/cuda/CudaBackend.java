package io.groupreduce.cuda;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.CudaWorkspace;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.inference.CudaInference;
import io.groupreduce.cuda.training.CudaCalibration;
import io.groupreduce.cuda.training.CudaSoftmaxPair;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.util.OptionalDouble;

/**
 * One NVIDIA card. Everything on it runs in the order it is asked for, on the one thread of its {@link Device}; callers may be several
 * threads and wait their turn.
 */
final class CudaBackend implements Backend {
    private final Device device;
    /** Made when a step first needs it: a softmax head alone never does. Touched on the device's thread only. */
    private Cublas blas;

    /** Takes over the device: {@link #close} closes it. */
    CudaBackend(Device device) {
        this.device = device;
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public String description() {
        return device.properties().card();
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return device.call(() -> new CudaWorkspace(device, blas(), problem));
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return device.call(() -> CudaSoftmaxPair.compare(device, blas(), task));
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return device.call(() -> new CudaCalibration(device, blas(), problem));
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        return new CudaInference(device, problem);
    }

    @Override
    public OptionalDouble memoryBandwidth() {
        return OptionalDouble.of(device.call(() -> CopyBandwidth.measure(device)));
    }

    private Cublas blas() {
        if (blas == null) {
            blas = new Cublas(device);
        }
        return blas;
    }

    @Override
    public void close() {
        try (device) {
            device.runUnlessClosed(() -> {
                if (blas != null) {
                    blas.close();
                }
            });
        }
    }
}
