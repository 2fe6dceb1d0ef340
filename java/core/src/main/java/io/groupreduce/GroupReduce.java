package io.groupreduce;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Logits;
import io.groupreduce.format.MappedFiles;
import io.groupreduce.format.Model;
import io.groupreduce.internal.check.ChanceCheck;
import io.groupreduce.internal.check.CompressionChecks;
import io.groupreduce.internal.check.FactorCheck;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.check.Shareable;
import io.groupreduce.internal.check.SoftmaxChecks;
import io.groupreduce.internal.compress.Compression;
import io.groupreduce.internal.compress.CompressionTask;
import io.groupreduce.internal.compress.ErrorCurves;
import io.groupreduce.internal.compress.RelativeError;
import io.groupreduce.internal.compress.SoftmaxEvaluation;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Backend;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Compresses a matrix in memory or a model file. What comes in is checked here, that of a file by {@link
 * FileCompression}; the steps behind trust it.
 *
 * <pre>{@code
 * try (Backend backend = BackendSelection.select("auto", 8).backend(); Arena arena = Arena.ofShared()) {
 *     CompressedMatrix small = GroupReduce.compress(
 *             backend, matrix, counts, null, CompressionOptions.defaults(), arena, Progress.NONE).matrix();
 * }
 * }</pre>
 */
public final class GroupReduce {
    private GroupReduce() {}

    /**
     * Compresses one matrix of which nothing is known but its counts and its metric.
     *
     * @see #compress(Backend, Matrix, long[], Metric, SoftmaxData, CompressionOptions, Arena, Progress)
     */
    public static CompressionResult compress(
            Backend backend,
            Matrix matrix,
            long[] counts,
            Metric metric,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        return compress(backend, matrix, counts, metric, null, options, arena, progress);
    }

    /**
     * Compresses one matrix.
     *
     * @param counts how often each token occurs, length N, none negative; {@code null} counts all alike
     * @param metric what meets the matrix beside the hidden states of {@code softmax}; {@code null} for nothing. With both, as
     *     for tied weights, errors are measured under their mean
     * @param softmax samples of the hidden states that meet the matrix; {@code null} if it is no output matrix or none are
     *     known. Methods that aim at a loss or calibrate need it
     * @param arena owns the memory of the result; a shared or automatic one, since several threads write there
     * @throws InvalidOptionException if the arena is confined to one thread, or the options need hidden states and there are
     *     none
     * @throws InvalidDataException if a number is NaN or infinite, counts, hidden states, targets or metric do not fit, or the softmax
     *     guesses the targets worse than chance
     * @throws UnreachableTargetException if no rank meets the size target
     */
    public static CompressionResult compress(
            Backend backend,
            Matrix matrix,
            long[] counts,
            Metric metric,
            SoftmaxData softmax,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        Shareable.require(arena);
        long[] used = CompressionChecks.requireCounts(matrix, counts);
        if (metric != null && metric.columns() != matrix.columns()) {
            throw new InvalidDataException("The metric has " + metric.columns() + " columns but " + matrix.name()
                    + " has " + matrix.columns() + "; give a square metric of that side.");
        }
        CompressionChecks.requireShape(matrix);
        SoftmaxChecks.requireFor(options, softmax != null, softmax != null && softmax.targets() != null);
        return MappedFiles.reading(() -> {
            if (softmax != null) {
                SoftmaxChecks.require(softmax, matrix, options);
            }
            progress.at("checking " + matrix.name(), 0);
            Finite.require(matrix);
            if (softmax != null) {
                ChanceCheck.require(backend, matrix, softmax, List.of());
            }
            return run(backend, matrix, used, metric, softmax, options, arena, progress);
        });
    }

    /** Compresses a matrix that was checked, its numbers too. */
    static CompressionResult run(
            Backend backend,
            Matrix matrix,
            long[] counts,
            Metric metric,
            SoftmaxData softmax,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        return Compression.run(CompressionTask.of(backend, matrix, counts, metric, softmax, options), arena, progress);
    }

    /**
     * Compresses a model file. The output appears under its name only when it is complete and verified.
     *
     * @param tell hears things the user should know, one sentence each
     * @return one summary a compressed matrix, in the order of the output; {@link CompressedFile#open} reads the matrices
     */
    public static List<CompressionSummary> compress(
            CompressionJob job, Backend backend, Progress progress, Consumer<String> tell) {
        return MappedFiles.reading(() -> FileCompression.run(job, backend, progress, tell));
    }

    /**
     * The relative error of what is stored: sqrt(sum_i w_i ||A_i - A^_i||^2 / sum_i w_i ||A_i||^2) with w_i = (c_i + 1)^alpha. At
     * alpha 1 it is the count-weighted one that {@link CompressionSummary#relativeError} holds.
     *
     * @param counts length N; {@code null} counts all alike
     * @throws InvalidOptionException if alpha is negative or not finite
     * @throws InvalidDataException if shapes or counts do not fit, or a number of the matrix or a factor is NaN or infinite
     */
    public static double relativeError(
            Backend backend, Matrix matrix, long[] counts, double alpha, CompressedMatrix approximation) {
        approximation.requireStandsFor(matrix);
        Shareable.require(approximation);
        CompressionChecks.requireShape(matrix);
        long[] used = CompressionChecks.requireCounts(matrix, counts);
        if (!(alpha >= 0 && Double.isFinite(alpha))) {
            throw new InvalidOptionException("Alpha is " + alpha + "; it must be a number of at least 0.");
        }
        return MappedFiles.reading(() -> {
            Finite.require(matrix);
            FactorCheck.requireFinite(approximation, approximation.bias());
            return RelativeError.of(backend, matrix, used, alpha, approximation);
        });
    }

    /**
     * How the softmax of a compressed matrix compares with the dense one, streaming over the vocabulary. A perplexity too large
     * for a double is infinite.
     *
     * @param dense A, N x D
     * @param bias the model's, length N, or {@code null}: added to the logits of both, but not to the compressed ones where
     *     {@code compressed} has a bias of its own
     * @param hidden T x D
     * @param targets length T, or {@code null} when unknown
     * @throws InvalidDataException if shapes or lengths differ, a target is no row of the matrix, a number of the dense matrix, the
     *     bias, the hidden states or the results is NaN or infinite, or the dense softmax guesses the targets worse than chance
     */
    public static Evaluation evaluate(
            Backend backend, Matrix dense, float[] bias, CompressedMatrix compressed, Matrix hidden, int[] targets) {
        return MappedFiles.reading(() -> {
            SoftmaxChecks.requireComparable(dense, bias, compressed, hidden, targets);
            return SoftmaxEvaluation.of(backend, dense, bias, compressed, hidden, targets);
        });
    }

    /**
     * {@link #evaluate(Backend, Matrix, float[], CompressedMatrix, Matrix, int[]) Evaluates} what stands for a matrix of a model, with the
     * factor and the bias of that model's logits.
     *
     * @throws InvalidDataException also if those logits cannot be computed, or the targets are likelier without the factor or with another
     *     bias
     */
    public static Evaluation evaluate(
            Backend backend, Model model, String tensor, CompressedMatrix compressed, HiddenStates states) {
        return MappedFiles.reading(() -> {
            Matrix dense = model.require(tensor).matrix(model.fileOf(tensor).toString());
            SoftmaxData softmax = model.softmax(tensor, states);
            SoftmaxChecks.requireComparable(dense, softmax.bias(), compressed, softmax.hidden(), softmax.targets());
            requireSense(backend, model, tensor, dense, softmax);
            return SoftmaxEvaluation.of(
                    backend, dense, softmax.bias(), compressed, softmax.hidden(), softmax.targets());
        });
    }

    /** What names and config.json say of the logits of a matrix is checked against targets. */
    static void requireSense(Backend backend, Model model, String tensor, Matrix dense, SoftmaxData softmax) {
        Logits logits = model.logits(tensor);
        List<ChanceCheck.Alternative> others = new ArrayList<>();
        if (logits.scale() != 1) {
            others.add(new ChanceCheck.Alternative(
                    1 / logits.scale(),
                    softmax.bias(),
                    "without the factor " + logits.scale() + " of the logits",
                    "the hidden states hold it already; give them as they are before it"));
        }
        if (logits.bias() != null) {
            others.add(new ChanceCheck.Alternative(
                    1, null, "without the bias " + logits.bias(), "name the right one with --bias"));
        }
        model.otherBiases(tensor)
                .forEach((name, bias) -> others.add(
                        new ChanceCheck.Alternative(1, bias, "with the bias " + name, "name it with --bias")));
        ChanceCheck.require(backend, dense, softmax, others);
    }

    /**
     * The count-weighted relative error of a method of the paper at several ratios, before refinement and rounding.
     *
     * @param counts how often each token occurs, length N
     * @param options what the curve is for; of its target only the unit matters, which decides a codec left open
     * @param ratios the ratios asked for, rising; the curve ends where one is out of reach
     * @throws InvalidDataException if counts do not fit, or a number of the matrix is NaN or infinite
     */
    public static ErrorCurve errorCurve(
            Backend backend, Matrix matrix, long[] counts, CompressionOptions options, double[] ratios) {
        CompressionChecks.requireShape(matrix);
        long[] used = CompressionChecks.requireCounts(matrix, counts);
        return MappedFiles.reading(() -> {
            Finite.require(matrix);
            return ErrorCurves.of(backend, matrix, used, options, ratios);
        });
    }
}
