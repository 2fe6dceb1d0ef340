package io.groupreduce;

import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressedModel;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Metric;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.format.CompressedFile;
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
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Compresses a matrix in memory or a model file. What comes in is checked here, that of a file by {@link
 * FileCompression}; the steps behind trust it.
 *
 * <pre>{@code
 * try (Backend backend = BackendSelection.select(Device.AUTO, 8).backend(); Arena arena = Arena.ofShared()) {
 *     CompressedMatrix small = GroupReduce.compress(
 *             backend, matrix, counts, null, CompressionOptions.defaults(), arena, Progress.NONE).matrix();
 * }
 * }</pre>
 */
public final class GroupReduce {
    private GroupReduce() {}

    /**
     * Opens a {@code .safetensors} file, a {@code .npy} file, an index ({@code model.safetensors.index.json}) with its shards, or a
     * directory with one of these; of a download cache of the Hugging Face hub the current snapshot.
     *
     * @throws FileAccessException if it is missing or unreadable
     * @throws MalformedFileException if a file is damaged, the index is wrong, or it is something else, such as a PyTorch pickle
     * @throws InvalidDataException if a directory holds no model or several, or it is a part of a model only
     */
    public static ModelFile openModel(Path input) {
        return openModel(input, VocabularyChoice.NONE);
    }

    /**
     * Opens a model of which the caller says what its matrices are.
     *
     * @throws InvalidDataException also if there is no tensor of a chosen name
     * @see #openModel(Path)
     */
    public static ModelFile openModel(Path input, VocabularyChoice choice) {
        return Model.open(input, choice);
    }

    /**
     * Opens and checks a compressed file. Left factors and dense rows are checked for their shape, not number by number.
     *
     * @throws FileAccessException if it is missing, a directory, or unreadable
     * @throws MalformedFileException if it is not a safetensors file, its parts do not fit each other, or a right factor, a
     *     scale or a bias is not finite
     * @throws InvalidDataException if it is a safetensors file that holds nothing compressed, or is of another version
     */
    public static CompressedModel openCompressed(Path file) {
        return CompressedFile.open(file);
    }

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
     * @throws DeviceException if the eigensolver, ojAlgo, is not there
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
        ComputeBackend ours = ComputeBackend.of(backend);
        CompressionChecks.requireSolver();
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
            Finite.require(matrix, ours::forEach);
            if (softmax != null) {
                ChanceCheck.require(ours, matrix, softmax, List.of());
            }
            return run(ours, matrix, used, metric, softmax, options, arena, progress);
        });
    }

    /** Compresses a matrix that was checked, its numbers too. */
    static CompressionResult run(
            ComputeBackend backend,
            Matrix matrix,
            long[] counts,
            Metric metric,
            SoftmaxData softmax,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        return RetreatingBackend.run(
                backend,
                running -> Compression.run(
                        CompressionTask.of(running, matrix, counts, metric, softmax, options), arena, progress));
    }

    /**
     * Compresses a model file. The output appears under its name only when it is complete and verified.
     *
     * @param tell hears things the user should know, one sentence each
     * @return one summary a compressed matrix, in the order of the output; {@link #openCompressed} reads the matrices
     */
    public static List<CompressionSummary> compress(
            CompressionJob job, Backend backend, Progress progress, Consumer<String> tell) {
        CompressionChecks.requireSolver();
        return MappedFiles.reading(() -> FileCompression.run(job, ComputeBackend.of(backend), progress, tell));
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
        ComputeBackend ours = ComputeBackend.of(backend);
        approximation.requireStandsFor(matrix);
        Shareable.require(approximation);
        CompressionChecks.requireShape(matrix);
        long[] used = CompressionChecks.requireCounts(matrix, counts);
        if (!(alpha >= 0 && Double.isFinite(alpha))) {
            throw new InvalidOptionException("Alpha is " + alpha + "; it must be a number of at least 0.");
        }
        return MappedFiles.reading(() -> {
            Finite.require(matrix, ours::forEach);
            FactorCheck.requireFinite(approximation, approximation.bias());
            return RetreatingBackend.run(
                    ours, running -> RelativeError.of(running, matrix, used, alpha, approximation));
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
        ComputeBackend ours = ComputeBackend.of(backend);
        return MappedFiles.reading(() -> {
            SoftmaxChecks.requireComparable(dense, bias, compressed, hidden, targets);
            return SoftmaxEvaluation.of(ours, dense, bias, compressed, hidden, targets);
        });
    }

    /**
     * {@link #evaluate(Backend, Matrix, float[], CompressedMatrix, Matrix, int[]) Evaluates} what stands for a matrix of a model, with the
     * factor and the bias of that model's logits.
     *
     * @param softmax of {@link ModelFile#softmax}
     * @throws InvalidDataException also if those logits cannot be computed, or the targets are likelier without the factor or with another
     *     bias
     */
    public static Evaluation evaluate(
            Backend backend, ModelFile model, String tensor, CompressedMatrix compressed, SoftmaxData softmax) {
        ComputeBackend ours = ComputeBackend.of(backend);
        Model read = Model.of(model);
        return MappedFiles.reading(() -> {
            Matrix dense = read.matrix(tensor);
            SoftmaxChecks.requireComparable(dense, softmax.bias(), compressed, softmax.hidden(), softmax.targets());
            requireSense(ours, read, tensor, dense, softmax);
            return SoftmaxEvaluation.of(ours, dense, softmax.bias(), compressed, softmax.hidden(), softmax.targets());
        });
    }

    /** What names and config.json say of the logits of a matrix is checked against targets. */
    static void requireSense(ComputeBackend backend, Model model, String tensor, Matrix dense, SoftmaxData softmax) {
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
        ComputeBackend ours = ComputeBackend.of(backend);
        CompressionChecks.requireSolver();
        CompressionChecks.requireShape(matrix);
        long[] used = CompressionChecks.requireCounts(matrix, counts);
        return MappedFiles.reading(() -> {
            Finite.require(matrix, ours::forEach);
            return RetreatingBackend.run(ours, running -> ErrorCurves.of(running, matrix, used, options, ratios));
        });
    }
}
