package io.groupreduce.benchmarks;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.internal.compress.Calibration;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.util.List;

/** Compresses the softmax of a model in many ways and judges each on the hidden states that no method saw. */
final class Trials {
    /** The weights of the error that trials report, whatever weights they minimised. */
    private static final double ALPHA = 0.5;

    private final ComputeBackend backend;
    private final Matrix dense;
    private final long[] counts;
    private final SoftmaxData known;
    private final SoftmaxData judged;

    Trials(Backend backend, QualityModel model) {
        this.backend = ComputeBackend.of(backend);
        dense = model.dense();
        counts = model.counts();
        known = model.known();
        judged = model.judged();
    }

    /** The codec that stores numbers as the model does. */
    Codec source() {
        return dense.type() == DType.F32 ? Codec.F32 : Codec.BF16;
    }

    /** A method as users run it, knowing the hidden states. */
    Trial run(CompressionOptions options) {
        return run(options, null);
    }

    /**
     * A method that knows the hidden states.
     *
     * @param metric what the paper's methods measure errors with; {@code null} for the identity
     */
    Trial run(CompressionOptions options, Metric metric) {
        try (Arena arena = Arena.ofShared()) {
            long begun = System.nanoTime();
            CompressionResult result =
                    GroupReduce.compress(backend, dense, counts, metric, known, options, arena, Progress.NONE);
            return judge(
                    result.matrix(),
                    result.matrix().bytes(),
                    secondsSince(begun),
                    result.summary().options());
        }
    }

    /** A method that never sees hidden states, but whose result may be calibrated on them; no bias is trained. */
    Trial runWithoutHidden(CompressionOptions options) {
        try (Arena arena = Arena.ofShared()) {
            long begun = System.nanoTime();
            CompressionResult result = GroupReduce.compress(
                    backend, dense, counts, null, options.withCalibrationEpochs(0), arena, Progress.NONE);
            CompressedMatrix matrix = result.matrix();
            int epochs = options.calibrationEpochs();
            if (epochs > 0) {
                matrix = Calibration.run(backend, dense, known, matrix, epochs, false, arena, Progress.NONE)
                        .matrix();
            }
            return judge(
                    matrix,
                    matrix.bytes(),
                    secondsSince(begun),
                    result.summary().options());
        }
    }

    /** E[h h^T] of the hidden states that a method may be fitted to. */
    Metric metric() {
        return MetricRoot.hiddenMoment(new DenseAlgebra(backend::forEach), known.hidden());
    }

    /** Rows rounded to integers, with the scales of least error. Nothing but integers and scales is counted. */
    Trial rounded(Codec codec, int block, ScaleFormat scales) {
        try (Arena arena = Arena.ofShared()) {
            long begun = System.nanoTime();
            EncodedMatrix encoded =
                    EncodedMatrix.allocate(arena, BitProfile.of(codec, dense.columns()), dense.rows(), block, scales);
            float[] row = new float[dense.columns()];
            for (int i = 0; i < dense.rows(); i++) {
                dense.readRow(i, row, 0);
                encoded.encodeRow(i, row, 0, null);
            }
            CompressedMatrix matrix = new CompressedMatrix(
                    dense.name(),
                    dense.columns(),
                    new byte[dense.rows()],
                    List.of(GroupPlan.dense(dense.columns(), codec)),
                    List.of(encoded),
                    List.of());
            return judge(matrix, encoded.bytes(), secondsSince(begun), null);
        }
    }

    private Trial judge(CompressedMatrix matrix, long bytes, double seconds, CompressionOptions options) {
        Evaluation evaluation =
                GroupReduce.evaluate(backend, dense, judged.bias(), matrix, judged.hidden(), judged.targets());
        double error = GroupReduce.relativeError(backend, dense, counts, ALPHA, matrix);
        return new Trial((double) dense.bytes() / bytes, bytes, error, evaluation, seconds, options);
    }

    private static double secondsSince(long begun) {
        return (System.nanoTime() - begun) / 1e9;
    }
}
