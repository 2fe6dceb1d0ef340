package io.groupreduce.cuda;

import io.groupreduce.api.Threads;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.CudaWorkspace;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.inference.CudaInference;
import io.groupreduce.cuda.training.CudaCalibration;
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
import java.util.OptionalDouble;
import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * One NVIDIA card. Everything on it runs in the order it is asked for, on the one thread of its {@link Device}; callers may be several
 * threads and wait their turn.
 */
final class CudaBackend implements ComputeBackend {
    private final Device device;
    /** {@code null} for the calling thread. */
    private final ForkJoinPool threads;

    /** Made when a step first needs it: a softmax head alone never does. Touched on the device's thread only. */
    private Cublas blas;

    /**
     * Takes over the device: {@link #close} closes it.
     *
     * @param threads of the processor, for what is too small for the card; all of it runs on the calling thread where they would be
     *     another's
     */
    CudaBackend(Device device, Threads threads) {
        this.device = device;
        this.threads = threads.count() > 1 && threads.executor().isEmpty() ? new ForkJoinPool(threads.count()) : null;
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
    public void forEach(int tasks, IntConsumer task) {
        if (threads == null) {
            ComputeBackend.super.forEach(tasks, task);
        } else {
            threads.submit(() -> IntStream.range(0, tasks).parallel().forEach(task))
                    .join();
        }
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
        if (threads != null) {
            threads.shutdown();
        }
        try (device) {
            device.runUnlessClosed(() -> {
                if (blas != null) {
                    blas.close();
                }
            });
        }
    }
}
