package io.groupreduce;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.MetricFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.SoftmaxBias;
import io.groupreduce.format.Tensor;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.check.SoftmaxChecks;
import io.groupreduce.internal.compress.Compression;
import io.groupreduce.internal.compress.CompressionTask;
import io.groupreduce.internal.compress.ErrorCurves;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.compress.SoftmaxEvaluation;
import io.groupreduce.internal.compress.Weights;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Compresses a matrix in memory or a model file. All checks of what comes in are here; the steps behind trust them.
 *
 * <pre>{@code
 * try (Backend backend = BackendSelection.select("auto", 8).backend(); Arena arena = Arena.ofShared()) {
 *     CompressedMatrix small = GroupReduce.compress(
 *             backend, matrix, counts, null, CompressionOptions.defaults(), arena, Progress.NONE).matrix();
 * }
 * }</pre>
 */
public final class GroupReduce {
    /** Tensors that a message lists at most. */
    private static final int MENTIONED = 8;

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
     * @param metric what meets the matrix beside the hidden states of {@code softmax}, such as W^T W of the layer after an
     *     embedding; {@code null} for nothing. With both, as for tied weights, errors are measured under their mean
     * @param softmax samples of the hidden states that meet the matrix; {@code null} if it is no output matrix or none are
     *     known. Methods that aim at a loss or calibrate need it
     * @param arena owns the memory of the result; a shared or automatic one, since several threads write there
     * @throws InvalidOptionException if the arena is confined to one thread, or the options need hidden states and there are
     *     none
     * @throws InvalidDataException if a number is NaN or infinite, or counts, hidden states, targets or metric do not fit
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
        if (!arena.allocate(1).isAccessibleBy(new Thread())) {
            throw new InvalidOptionException(
                    "The arena is confined to one thread, but several threads write the result; use Arena.ofShared().");
        }
        long[] used = counts == null ? new long[matrix.rows()] : counts;
        requireCounts(matrix, used);
        if (metric != null && metric.columns() != matrix.columns()) {
            throw new InvalidDataException("The metric has " + metric.columns() + " columns but " + matrix.name()
                    + " has " + matrix.columns() + "; give a square metric of that side.");
        }
        requireSquareable(matrix);
        SoftmaxChecks.requireFor(options, softmax != null, softmax != null && softmax.targets() != null);
        progress.at("checking " + matrix.name(), 0);
        Finite.require(matrix);
        if (softmax != null) {
            SoftmaxChecks.require(softmax, matrix, options);
        }
        MetricRoot root = metric(new DenseAlgebra(backend::forEach), matrix, metric, softmax, options);
        return Compression.run(new CompressionTask(backend, matrix, used, root, softmax, options), arena, progress);
    }

    /** The metric of rate-distortion knows the hidden states; the paper's methods take only what they are given. */
    private static MetricRoot metric(
            DenseAlgebra algebra, Matrix matrix, Metric given, SoftmaxData softmax, CompressionOptions options) {
        if (softmax == null || options.method() != Method.RATE_DISTORTION) {
            return given == null ? null : MetricRoot.of(algebra, given);
        }
        MetricRoot met = MetricRoot.ofHidden(algebra, (options.holdsStatesOut() ? softmax.fitted() : softmax).hidden());
        return given == null
                ? met
                : MetricRoot.combined(
                        algebra,
                        MetricRoot.of(algebra, given),
                        met,
                        matrix.columns(),
                        "The metric of " + matrix.name());
    }

    /** Gram matrices are D x D arrays. */
    private static void requireSquareable(Matrix matrix) {
        if (matrix.columns() > CompressedMatrix.MAX_COLUMNS) {
            throw new InvalidDataException(
                    matrix.name() + " has " + matrix.columns() + " columns; at most " + CompressedMatrix.MAX_COLUMNS
                            + " can be compressed, so transpose it if rows and columns are exchanged.");
        }
    }

    private static void requireCounts(Matrix matrix, long[] counts) {
        if (counts.length != matrix.rows()) {
            throw new InvalidDataException("There are " + counts.length + " counts for the " + matrix.rows()
                    + " rows of " + matrix.name() + "; give one count a row.");
        }
        for (int i = 0; i < counts.length; i++) {
            if (counts[i] < 0) {
                throw new InvalidDataException(
                        "The count of row " + i + " is " + counts[i] + "; counts must not be negative.");
            }
        }
    }

    /**
     * Compresses a model file. The output appears under its name only when it is complete and verified.
     *
     * @param tell hears things the user should know, one sentence each
     * @return one result a compressed matrix. Their left factors lived in memory that is gone: open the output to read them.
     */
    public static List<CompressionResult> compress(
            CompressionJob job, Backend backend, Progress progress, Consumer<String> tell) {
        requireWritable(job);
        try (Model model = Model.open(job.input());
                HiddenStates hidden = job.hidden() == null ? null : HiddenStates.open(job.hidden());
                Arena arena = Arena.ofShared()) {
            requireUncompressed(model);
            List<Tensor> chosen = choose(job, model);
            Map<String, String> tied = job.tensors().isEmpty() ? model.duplicates() : Map.of();
            List<Matrix> matrices = new ArrayList<>();
            for (Tensor tensor : chosen) {
                matrices.add(tensor.matrix(model.fileOf(tensor.name()).toString()));
            }
            requireMetricsMatch(job, chosen);
            List<long[]> counts = counts(job, matrices, tell);
            SoftmaxData[] softmax = softmax(job, model, chosen, matrices, hidden, tell);
            requireReachable(job, backend, matrices, counts, softmax);
            List<CompressionResult> results = new ArrayList<>();
            List<CompressedEntry> entries = new ArrayList<>();
            for (int m = 0; m < matrices.size(); m++) {
                Matrix matrix = matrices.get(m);
                String name = chosen.get(m).name();
                int index = m;
                Progress share = (step, done) -> progress.at(
                        matrices.size() == 1 ? step : name + ": " + step, 0.95 * (index + done) / matrices.size());
                CompressionOptions options = options(job, matrices, m, softmax[m] != null);
                Metric metric = metric(job.metrics().get(name), matrix);
                CompressionResult result =
                        compress(backend, matrix, counts.get(m), metric, softmax[m], options, arena, share);
                results.add(result);
                entries.add(CompressedEntry.of(result, name));
            }
            List<Tensor> copied = new ArrayList<>();
            if (!job.only()) {
                Set<String> replaced = new HashSet<>(tied.keySet());
                chosen.forEach(t -> replaced.add(t.name()));
                model.tensors().values().stream()
                        .filter(t -> !replaced.contains(t.name()))
                        .forEach(copied::add);
            }
            progress.at("writing " + job.output(), 0.95);
            CompressedFile.write(job.output(), entries, copied, model.metadata(), tied);
            progress.at("done", 1);
            return results;
        }
    }

    /**
     * The weighted relative error of what is stored: sqrt(sum_i w_i ||A_i - A^_i||^2 / sum_i w_i ||A_i||^2) with w_i = (c_i +
     * 1)^alpha.
     *
     * @param counts length N; {@code null} counts all alike
     */
    public static double relativeError(
            Backend backend, Matrix matrix, long[] counts, double alpha, CompressedMatrix approximation) {
        approximation.requireStandsFor(matrix);
        requireSquareable(matrix);
        long[] used = counts == null ? new long[matrix.rows()] : counts;
        requireCounts(matrix, used);
        double[] raw = Weights.raw(used, alpha);
        CompressionProblem problem = CompressionProblem.weighted(matrix, Weights.scaledToMeanOne(raw));
        try (CompressionWorkspace workspace = backend.open(problem)) {
            double energy = workspace.energy();
            return energy == 0 ? 0 : Math.sqrt(workspace.loss(approximation) / energy);
        }
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
     * @throws InvalidDataException if shapes or lengths differ, a target is no row of the matrix, or a number of the dense
     *     matrix, the bias, the hidden states or the results is NaN or infinite
     */
    public static Evaluation evaluate(
            Backend backend, Matrix dense, float[] bias, CompressedMatrix compressed, Matrix hidden, int[] targets) {
        SoftmaxChecks.requireComparable(dense, bias, compressed, hidden, targets);
        return SoftmaxEvaluation.of(backend, dense, bias, compressed, hidden, targets);
    }

    /**
     * The weighted relative error of a method of the paper at several ratios, before refinement.
     *
     * @param counts how often each token occurs, length N
     * @param options what the curve is for; its target does not matter
     * @param ratios the ratios asked for, rising; the curve ends where one is out of reach
     */
    public static ErrorCurve errorCurve(
            Backend backend, Matrix matrix, long[] counts, CompressionOptions options, double[] ratios) {
        return ErrorCurves.of(backend, matrix, counts, options, ratios);
    }

    /** Before the long work: the output can be written and is none of the files that are read. */
    private static void requireWritable(CompressionJob job) {
        List<Path> read = new ArrayList<>(job.metrics().values());
        read.add(job.input());
        if (job.counts() != null) {
            read.add(job.counts());
        }
        if (job.hidden() != null) {
            read.add(job.hidden());
        }
        Path folder = job.output().toAbsolutePath().normalize().getParent();
        if (Files.isDirectory(job.input())
                && job.input().toAbsolutePath().normalize().equals(folder)) {
            throw new InvalidDataException(
                    "The output " + job.output() + " lies in the input directory, where it would be"
                            + " taken for a part of the model; write it elsewhere.");
        }
        OutputFile.require(job.output(), read, job.overwrite());
    }

    private static void requireUncompressed(Model model) {
        if (model.metadata().containsKey(CompressedFile.METADATA_KEY)) {
            throw new InvalidDataException(
                    model.path() + " is compressed already; start from the original, or turn it into a"
                            + " plain model with 'groupreduce export --to dense' first.");
        }
    }

    private static List<Tensor> choose(CompressionJob job, Model model) {
        List<Tensor> chosen = new ArrayList<>();
        for (String name : job.tensors()) {
            Tensor tensor = model.require(name);
            if (chosen.stream().noneMatch(t -> t.name().equals(name))) {
                chosen.add(tensor);
            }
        }
        if (!job.tensors().isEmpty()) {
            return chosen;
        }
        List<Tensor> found = model.compressible();
        if (found.isEmpty()) {
            throw new InvalidDataException(nothingFound(model));
        }
        return found;
    }

    private static String nothingFound(Model model) {
        List<Tensor> unsupported = model.namedButUnsupported();
        if (!unsupported.isEmpty()) {
            Tensor first = unsupported.get(0);
            return model.fileOf(first.name()) + ": tensor " + first.name() + " has type " + first.type()
                    + "; convert it to F32, F16 or BF16 first.";
        }
        List<String> names = model.tensors().keySet().stream().limit(MENTIONED).toList();
        int more = model.tensors().size() - names.size();
        return model.path() + " has no embedding or output matrix under a known name; name one with --tensor. It holds "
                + String.join(", ", names) + (more > 0 ? " and " + more + " more." : ".");
    }

    private static void requireMetricsMatch(CompressionJob job, List<Tensor> chosen) {
        for (String name : job.metrics().keySet()) {
            if (chosen.stream().noneMatch(t -> t.name().equals(name))) {
                throw new InvalidDataException("A metric was given for '" + name
                        + "', which is not compressed; compressed are "
                        + String.join(", ", chosen.stream().map(Tensor::name).toList()) + ".");
            }
        }
    }

    private static List<long[]> counts(CompressionJob job, List<Matrix> matrices, Consumer<String> tell) {
        if (job.counts() == null && job.options().method().weighted()) {
            tell.accept(
                    "No counts were given, so every token counts alike; --counts makes frequent tokens matter more.");
        }
        Map<Integer, long[]> byRows = new LinkedHashMap<>();
        List<long[]> counts = new ArrayList<>();
        for (Matrix matrix : matrices) {
            counts.add(
                    job.counts() == null
                            ? null
                            : byRows.computeIfAbsent(matrix.rows(), rows -> CountsFile.read(job.counts(), rows)));
        }
        return counts;
    }

    /** What the hidden states say of each matrix; {@code null} entries for those they do not meet. */
    private static SoftmaxData[] softmax(
            CompressionJob job,
            Model model,
            List<Tensor> chosen,
            List<Matrix> matrices,
            HiddenStates hidden,
            Consumer<String> tell) {
        SoftmaxData[] softmax = new SoftmaxData[chosen.size()];
        SoftmaxChecks.requireFor(job.options(), hidden != null, hidden != null && hidden.targets() != null);
        if (hidden == null) {
            return softmax;
        }
        String output = chosen.stream()
                .map(Tensor::name)
                .filter(model::servesAsOutput)
                .findFirst()
                .orElseThrow(() -> new InvalidDataException(job.hidden() + " meets an output matrix, but none is among "
                        + String.join(", ", chosen.stream().map(Tensor::name).toList())
                        + "; name one with --tensor, or leave the hidden states out."));
        for (int m = 0; m < softmax.length; m++) {
            if (!chosen.get(m).name().equals(output)) {
                continue;
            }
            Matrix matrix = matrices.get(m);
            softmax[m] = new SoftmaxData(hidden.hidden(), hidden.targets(), SoftmaxBias.of(model, output));
            SoftmaxChecks.require(softmax[m], matrix, job.options());
            boolean shapes = job.options().method() == Method.RATE_DISTORTION;
            if (shapes && hidden.hidden().rows() < matrix.columns()) {
                tell.accept(hidden.hidden().name() + " has fewer hidden states ("
                        + hidden.hidden().rows() + ") than the "
                        + matrix.columns() + " columns of " + matrix.name()
                        + ", so a larger ridge stands in for the directions they do not show; give more of them.");
            }
        }
        return softmax;
    }

    /** The options of one of several matrices: only an output matrix can be trained or judged on hidden states. */
    private static CompressionOptions options(CompressionJob job, List<Matrix> matrices, int index, boolean judged) {
        CompressionOptions options = job.options().withTarget(share(job, matrices, index));
        return judged ? options : options.withCalibrationEpochs(0).withoutMaxLossIncrease();
    }

    /** The target of one of several matrices. */
    private static SizeTarget share(CompressionJob job, List<Matrix> matrices, int index) {
        SizeTarget target = job.options().target();
        if (target.size() == 0 || matrices.size() == 1) {
            return target;
        }
        double total = matrices.stream().mapToDouble(Matrix::bytes).sum();
        long size = (long) (target.size() * (matrices.get(index).bytes() / total));
        return new SizeTarget(0, Math.max(1, size), target.unit());
    }

    /** All targets before the long work; a size shared by several matrices is judged as a whole. */
    private static void requireReachable(
            CompressionJob job, Backend backend, List<Matrix> matrices, List<long[]> counts, SoftmaxData[] softmax) {
        SizeTarget target = job.options().target();
        double total = matrices.stream().mapToDouble(Matrix::bytes).sum();
        long smallest = 0;
        for (int m = 0; m < matrices.size(); m++) {
            Matrix matrix = matrices.get(m);
            CompressionOptions options = options(job, matrices, m, softmax[m] != null);
            long[] used = counts.get(m) == null ? new long[matrix.rows()] : counts.get(m);
            try {
                Compression.requireReachable(new CompressionTask(backend, matrix, used, null, softmax[m], options));
            } catch (UnreachableTargetException e) {
                if (target.size() == 0 || matrices.size() == 1) {
                    throw e;
                }
                // One more than the share needs, since shares are rounded down.
                smallest = Math.max(smallest, (long) Math.ceil((e.smallest() + 1) * (total / matrix.bytes())));
            }
        }
        if (smallest > 0) {
            String unit = target.unit() == SizeUnit.BYTES ? "bytes" : "parameters";
            throw new UnreachableTargetException(
                    "The size target of " + target.size() + " " + unit + " for " + matrices.size()
                            + " matrices leaves one of them no room for a single direction; the smallest possible is "
                            + smallest + " " + unit + ", so ask for a larger size.",
                    smallest);
        }
    }

    private static Metric metric(Path file, Matrix matrix) {
        if (file == null) {
            return null;
        }
        requireSquareable(matrix);
        return MetricFile.read(file, matrix);
    }
}
