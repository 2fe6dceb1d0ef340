package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Loss;
import java.lang.foreign.Arena;

/** One matrix from task to result: its method, then calibration. */
public final class Compression {
    /** The part of the progress that comes before calibration. */
    private static final double UNCALIBRATED_SHARE = 0.3;

    private Compression() {}

    private static CompressionMethod method(CompressionTask task) {
        return switch (task.options().method()) {
            case SVD, WEIGHTED_SVD -> new TruncatedSvd(task);
            case GROUPREDUCE -> new PaperMethod(task);
            case RATE_DISTORTION -> new RateDistortion(task);
        };
    }

    /**
     * Checks that a size target can be met, without touching the data.
     *
     * @throws io.groupreduce.error.UnreachableTargetException if the method cannot meet it
     */
    public static void requireReachable(CompressionTask task) {
        method(task).requireReachable();
    }

    /**
     * Compresses a matrix and measures the error of what is stored.
     *
     * @param arena owns the memory of the result
     * @throws io.groupreduce.error.UnreachableTargetException if the method cannot meet the size target
     */
    public static CompressionResult run(CompressionTask task, Arena arena, Progress progress) {
        if (task.options().calibrationEpochs() == 0) {
            return method(task).run(arena, progress);
        }
        CompressionResult result =
                method(task).run(arena, (step, done) -> progress.at(step, UNCALIBRATED_SHARE * done));
        Calibration.Outcome outcome = Calibration.run(
                task.backend(),
                task.matrix(),
                task.softmax(),
                result.matrix(),
                task.options().calibrationEpochs(),
                task.withOptions(result.summary().options()).biasPays(),
                arena,
                (step, done) -> progress.at(step, UNCALIBRATED_SHARE + (1 - UNCALIBRATED_SHARE) * done));
        CompressionOptions settled = result.summary().options();
        double exponent = settled.method().weighted() ? settled.alpha().orElseThrow() : 0;
        try (CompressionWorkspace workspace = task.open(Weights.raw(task.counts(), exponent))) {
            CompressedMatrix trained = outcome.matrix();
            Loss loss = workspace.loss(trained);
            return new CompressionResult(
                    trained,
                    result.summary()
                            .calibrated(
                                    trained.bytes(), loss.weighted(), loss.relativeError(), outcome.heldOutLosses()));
        }
    }
}
