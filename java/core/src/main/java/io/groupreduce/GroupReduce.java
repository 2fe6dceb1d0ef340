package io.groupreduce;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.compress.Compression;
import io.groupreduce.compress.CompressionResult;
import io.groupreduce.compress.Metric;
import io.groupreduce.compress.Weights;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.FiniteCheck;
import io.groupreduce.format.Model;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.Tensor;
import java.io.IOException;
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
    private GroupReduce() {}

    /**
     * Compresses one matrix.
     *
     * @param counts how often each token occurs, length N, none negative; {@code null} counts all alike
     * @param metric what meets the matrix; {@code null} for the identity
     * @param arena owns the memory of the result; a shared or automatic one, since several threads write there
     * @throws InvalidOptionException if the arena is confined to one thread
     * @throws InvalidDataException if the matrix holds NaN or infinity, or the counts do not fit
     * @throws UnreachableTargetException if no rank meets the size target
     */
    public static CompressionResult compress(
            Backend backend,
            Matrix matrix,
            long[] counts,
            Metric metric,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        if (!arena.allocate(1).isAccessibleBy(new Thread())) {
            throw new InvalidOptionException(
                    "The arena is confined to one thread, but several threads write the result; use Arena.ofShared().");
        }
        long[] used = counts == null ? new long[matrix.rows()] : counts;
        if (used.length != matrix.rows()) {
            throw new InvalidDataException("There are " + used.length + " counts for the " + matrix.rows() + " rows of "
                    + matrix.name() + "; give one count a row.");
        }
        for (int i = 0; i < used.length; i++) {
            if (used[i] < 0) {
                throw new InvalidDataException(
                        "The count of row " + i + " is " + used[i] + "; counts must not be negative.");
            }
        }
        if (metric != null && metric.root().length != matrix.columns() * matrix.columns()) {
            throw new InvalidDataException("The metric has " + metric.root().length + " elements but " + matrix.name()
                    + " has " + matrix.columns() + " columns; give a square metric of that side.");
        }
        progress.at("checking " + matrix.name(), 0);
        FiniteCheck.requireFinite(matrix, matrix.name());
        return Compression.run(backend, matrix, used, metric, options, arena, progress);
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
                Arena arena = Arena.ofShared()) {
            List<Tensor> chosen = choose(job, model);
            Map<String, String> tied = job.tensors().isEmpty() ? model.duplicates() : Map.of();
            List<Matrix> matrices = new ArrayList<>();
            for (Tensor tensor : chosen) {
                matrices.add(tensor.matrix(model.fileOf(tensor.name()).toString()));
            }
            requireMetricsMatch(job, chosen);
            List<long[]> counts = counts(job, matrices, tell);
            List<CompressionResult> results = new ArrayList<>();
            List<CompressedEntry> entries = new ArrayList<>();
            for (int m = 0; m < matrices.size(); m++) {
                Matrix matrix = matrices.get(m);
                String name = chosen.get(m).name();
                int index = m;
                Progress share = (step, done) -> progress.at(
                        matrices.size() == 1 ? step : name + ": " + step, 0.95 * (index + done) / matrices.size());
                CompressionOptions options = job.options().withTarget(share(job, matrices, m));
                Metric metric = metric(job.metrics().get(name), matrix);
                CompressionResult result = compress(backend, matrix, counts.get(m), metric, options, arena, share);
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
        double[] raw = Weights.raw(counts == null ? new long[matrix.rows()] : counts, alpha);
        CompressionProblem problem = CompressionProblem.weighted(matrix, Weights.scaledToMeanOne(raw));
        try (CompressionWorkspace workspace = backend.open(problem)) {
            double energy = workspace.energy();
            return energy == 0 ? 0 : Math.sqrt(workspace.loss(approximation) / energy);
        }
    }

    private static void requireWritable(CompressionJob job) {
        Path output = job.output();
        if (!Files.exists(output)) {
            return;
        }
        if (Files.isDirectory(output)) {
            throw new FileAccessException(output + " is a directory; give the name of a file to write.");
        }
        if (isPartOf(output, job.input())) {
            throw new InvalidDataException(
                    "The output " + output + " is the input itself; give another name for the compressed file.");
        }
        if (!job.overwrite()) {
            throw new FileAccessException(output + " exists already; give another name, or --force to replace it.");
        }
    }

    /** Whether {@code output} is the input file or lies among the files of the input directory that would be read. */
    private static boolean isPartOf(Path output, Path input) {
        try {
            if (!Files.isDirectory(input)) {
                return Files.exists(input) && Files.isSameFile(output, input);
            }
            try (Model model = Model.open(input)) {
                for (Path file : model.files()) {
                    if (Files.isSameFile(output, file)) {
                        return true;
                    }
                }
                return false;
            }
        } catch (IOException e) {
            throw new FileAccessException("The file system cannot compare " + input + " with " + output + ".", e);
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
            throw new InvalidDataException(job.input()
                    + " has no embedding or output matrix under a known name; name one with --tensor. It holds "
                    + String.join(", ", model.tensors().keySet()) + ".");
        }
        return found;
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

    private static Metric metric(Path file, Matrix matrix) {
        if (file == null) {
            return null;
        }
        try (Safetensors safetensors = Safetensors.open(file)) {
            Matrix moment = safetensors.require("metric").matrix(file.toString());
            int columns = matrix.columns();
            if (moment.rows() != columns || moment.columns() != columns) {
                throw new InvalidDataException(file + ": 'metric' has shape [" + moment.rows() + ", " + moment.columns()
                        + "] but " + matrix.name() + " has " + columns + " columns; it must be [" + columns + ", "
                        + columns
                        + "].");
            }
            float[] values = new float[columns * columns];
            moment.readRows(0, columns, values, 0);
            double[] wide = new double[values.length];
            for (int i = 0; i < wide.length; i++) {
                wide[i] = values[i];
            }
            return Metric.of(wide, columns, file + ": 'metric'");
        }
    }
}
