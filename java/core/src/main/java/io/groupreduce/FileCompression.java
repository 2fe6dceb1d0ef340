package io.groupreduce;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Logits;
import io.groupreduce.format.MetricFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.ModelFolder;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.format.VocabularyMatrix;
import io.groupreduce.internal.check.CompressionChecks;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.check.SoftmaxChecks;
import io.groupreduce.internal.compress.Compression;
import io.groupreduce.internal.compress.CompressionTask;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** One {@link CompressionJob}: all that can fail early is looked at before the first matrix is compressed. */
final class FileCompression {
    /** Tensors that a message lists at most. */
    private static final int MENTIONED = 8;

    private final CompressionJob job;
    private final ComputeBackend backend;
    private final Model model;
    /** The input as a compressed file; {@code null} if it is none. */
    private final CompressedFile earlier;

    private final Consumer<String> tell;
    private final List<Part> parts = new ArrayList<>();
    private List<Tensor> copied;
    /** Tensors that are not stored because they equal a compressed one: name to the name of that one. */
    private Map<String, String> tied;

    private Map<String, String> metadata;

    private double totalBytes;
    private JobCounts known;

    /** A tensor to compress, and what is known of it; {@code softmax} is {@code null} where no hidden states meet it. */
    private record Part(String name, Matrix matrix, long[] counts, SoftmaxData softmax, Logits logits) {}

    private FileCompression(
            CompressionJob job, ComputeBackend backend, Model model, CompressedFile earlier, Consumer<String> tell) {
        this.job = job;
        this.backend = backend;
        this.model = model;
        this.earlier = earlier;
        this.tell = tell;
    }

    static List<CompressionSummary> run(
            CompressionJob job, ComputeBackend backend, Progress progress, Consumer<String> tell) {
        try (Model model = Model.open(job.input(), job.vocabulary());
                CompressedFile earlier = earlier(job, model);
                HiddenStates hidden = job.hidden() == null ? null : HiddenStates.open(job.hidden());
                OutputFile output = claim(job, model)) {
            model.notes().forEach(tell);
            FileCompression compression = new FileCompression(job, backend, model, earlier, tell);
            compression.gather(hidden);
            compression.requireReachable();
            output.requireRoom(compression.bytesNeeded());
            compression.requireSense();
            compression.tellWhatIsMissing();
            return compression.write(output, progress);
        }
    }

    /** Before the long work: the output can be written and is none of the files that are read. */
    private static OutputFile claim(CompressionJob job, Model model) {
        SafetensorsWriter.requireName(job.output());
        List<Path> read = new ArrayList<>(job.metrics().values());
        read.addAll(job.countsOf().values());
        read.addAll(OutputFile.filesOf(model));
        Stream.of(job.counts(), job.hidden()).filter(Objects::nonNull).forEach(read::add);
        if (toDirectory(job)) {
            return OutputFile.claimDirectory(job.output(), job.input(), read, job.overwrite());
        }
        OutputFile output = OutputFile.claim(job.output(), read, job.overwrite());
        try {
            output.requireOutside(job.input());
            return output;
        } catch (Throwable e) {
            output.close();
            throw e;
        }
    }

    private static boolean toDirectory(CompressionJob job) {
        return ModelFolder.isWanted(job.input(), job.output());
    }

    /** The output as far as its size is known: what is copied, and the target where there is one. */
    private double bytesNeeded() {
        SizeTarget target = job.options().target();
        boolean isKnown = job.options().maxLossIncrease().isEmpty() && target.unit() == SizeUnit.BYTES;
        double compressed = !isKnown ? 0 : target.size() > 0 ? target.size() : totalBytes / target.ratio();
        long beside = toDirectory(job) ? ModelFolder.of(job.input()).copiedBytes() : 0;
        return compressed + copied.stream().mapToLong(Tensor::bytes).sum() + beside;
    }

    /** To a compressed file a tensor can be added, if it is named. */
    private static CompressedFile earlier(CompressionJob job, Model model) {
        if (!model.isCompressed()) {
            return null;
        }
        if (job.tensors().isEmpty()) {
            throw new InvalidDataException(
                    model.path() + " is compressed already; name what else to compress with --tensor, start from the"
                            + " original, or turn it into a plain model with 'groupreduce export --to dense' first.");
        }
        return CompressedFile.open(job.input());
    }

    /** Finds the tensors and reads what is known of them. */
    private void gather(HiddenStates hidden) {
        List<Tensor> chosen = chosen();
        List<String> names = chosen.stream().map(Tensor::name).toList();
        List<Matrix> matrices = new ArrayList<>();
        for (Tensor tensor : chosen) {
            matrices.add(model.matrix(tensor.name()));
        }
        requireCompressed("A metric was", job.metrics().keySet(), names);
        requireCompressed("Counts were", job.countsOf().keySet(), names);
        known = new JobCounts(job, hidden, tell);
        String output = output(names, hidden);
        for (int m = 0; m < chosen.size(); m++) {
            String name = names.get(m);
            Matrix matrix = matrices.get(m);
            long[] counts = known.of(name, matrix);
            SoftmaxData softmax = name.equals(output) ? softmax(name, matrix, hidden) : null;
            Logits logits = hasOutput() ? Logits.PLAIN : model.logits(name);
            SoftmaxChecks.requireBias(model.bias(logits), matrix);
            if (logits.unknown() != null) {
                tell.accept(matrix.name() + ": " + logits.unknown()
                        + ", so a softmax head of the output opens only where it is told the factor of the logits.");
            }
            parts.add(new Part(name, matrix, CompressionChecks.requireCounts(matrix, counts), softmax, logits));
            if (earlier != null && !model.isConfigured() && !hasOutput() && model.servesAsOutput(name)) {
                tell.accept(model.path() + " has no config.json beside it, so a factor of the logits of " + name
                        + " is not known; where the model has one, copy the model's config.json there first.");
            }
            totalBytes += matrix.storedBytes();
        }
        tied = new HashMap<>(job.tensors().isEmpty() ? model.duplicates() : Map.of());
        Set<String> compressed = parts.stream().map(Part::name).collect(Collectors.toSet());
        Set<String> biases = parts.stream().map(part -> part.logits().bias()).collect(Collectors.toSet());
        Set<String> stored = new HashSet<>(compressed);
        if (earlier != null) {
            tied.putAll(earlier.tied());
            stored.addAll(earlier.matrices().keySet());
            earlier.entries().forEach(entry -> biases.add(entry.logits().bias()));
        }
        copied = (earlier == null ? model.tensors() : earlier.copied())
                .values().stream()
                        .filter(t -> job.only() || model.isForeign()
                                ? biases.contains(t.name())
                                : !compressed.contains(t.name()) && !tied.containsKey(t.name()))
                        .toList();
        metadata = earlier == null ? model.metadata() : earlier.sourceMetadata();
        CompressedFile.requireDistinct(job.output(), stored, copied, metadata);
        if (job.tensors().isEmpty()) {
            model.vocabulary().stream()
                    .filter(VocabularyMatrix::isWorthAWord)
                    .map(VocabularyMatrix::sentence)
                    .forEach(tell);
        }
    }

    /** Whether what hidden states meet is compressed already; what is added then only seems to be that, since it alone is whole. */
    private boolean hasOutput() {
        return earlier != null && earlier.outputName().isPresent();
    }

    private static void requireCompressed(String what, Set<String> given, List<String> compressed) {
        for (String name : given) {
            if (!compressed.contains(name)) {
                throw new InvalidDataException(what + " given for '" + name
                        + "', which is not compressed; compressed are " + String.join(", ", compressed) + ".");
            }
        }
    }

    private List<Tensor> chosen() {
        if (!job.tensors().isEmpty()) {
            return job.tensors().stream().distinct().map(this::named).toList();
        }
        List<Tensor> found = model.compressible();
        if (found.isEmpty()) {
            throw new InvalidDataException(nothingFound());
        }
        return found;
    }

    private Tensor named(String name) {
        if (earlier != null && !earlier.copied().containsKey(name)) {
            if (earlier.matrices().containsKey(name) || earlier.tied().containsKey(name)) {
                throw new InvalidDataException(model.path() + ": tensor " + name
                        + " is compressed already; name another one, or start from the original.");
            }
            if (model.tensors().containsKey(name)) {
                throw new InvalidDataException(model.path() + ": tensor " + name
                        + " is a part of a compressed matrix; name one that was copied.");
            }
        }
        return model.require(name);
    }

    private String nothingFound() {
        List<VocabularyMatrix> seen = model.vocabulary();
        if (!seen.isEmpty()) {
            VocabularyMatrix first = seen.stream()
                    .filter(matrix -> matrix.role() != null)
                    .findFirst()
                    .orElse(seen.get(0));
            return model.fileOf(first.tensor().name()) + ": tensor " + first.reason();
        }
        if (model.tensors().keySet().stream().allMatch(name -> name.contains(".lora_"))) {
            return model.path() + " is an adapter without vocabulary matrices; merge it into its model first.";
        }
        List<String> names = model.tensors().keySet().stream().limit(MENTIONED).toList();
        int more = model.tensors().size() - names.size();
        String missed = model.isForeign()
                ? " has no matrix that token ids choose rows from and none that makes logits"
                : " has no embedding or output matrix under a known name";
        return model.path() + missed + "; name one with --tensor. It holds " + String.join(", ", names)
                + (more > 0 ? " and " + more + " more." : ".");
    }

    /** The tensor that the hidden states meet; {@code null} without hidden states. */
    private String output(List<String> names, HiddenStates hidden) {
        SoftmaxChecks.requireFor(job.options(), hidden != null, hidden != null && hidden.targets() != null);
        if (hidden != null && hasOutput()) {
            throw new InvalidDataException(job.hidden() + " meets the output matrix "
                    + earlier.outputName().get() + ", which is compressed already in " + model.path()
                    + "; leave the hidden states out, or start from the original.");
        }
        return hidden == null ? null : model.outputAmong(names);
    }

    private SoftmaxData softmax(String name, Matrix matrix, HiddenStates hidden) {
        SoftmaxData softmax = model.softmax(name, hidden);
        SoftmaxChecks.require(softmax, matrix, job.options());
        if (softmax.targets() == null) {
            model.transform()
                    .ifPresent(layer -> tell.accept(hidden.hidden().name() + " has to hold what comes out of " + layer
                            + " and its norm, which stand before the output; without targets that is not checked."));
        }
        boolean shapes = job.options().method() == Method.RATE_DISTORTION;
        if (shapes && hidden.hidden().rows() < matrix.columns()) {
            tell.accept(hidden.hidden().name() + " has fewer hidden states ("
                    + hidden.hidden().rows() + ") than the " + matrix.columns() + " columns of " + matrix.name()
                    + ", so a larger ridge stands in for the directions they do not show; give more of them.");
        }
        return softmax;
    }

    /** All targets before the long work; a size shared by several matrices is judged as a whole. */
    private void requireReachable() {
        SizeTarget target = job.options().target();
        long smallest = 0;
        for (Part part : parts) {
            try {
                Compression.requireReachable(new CompressionTask(
                        backend, part.matrix(), part.counts(), null, part.softmax(), options(part)));
            } catch (UnreachableTargetException e) {
                if (target.size() == 0 || parts.size() == 1) {
                    throw e;
                }
                // One more than the share needs, since shares are rounded down.
                smallest = Math.max(smallest, (long) Math.ceil(
                        (e.smallest() + 1) * (totalBytes / part.matrix().storedBytes())));
            }
        }
        if (smallest > 0) {
            String unit = target.unit() == SizeUnit.BYTES ? "bytes" : "parameters";
            throw new UnreachableTargetException(
                    "The size target of " + target.size() + " " + unit + " for " + parts.size()
                            + " matrices leaves one of them no room for a single direction; ask for at least "
                            + smallest + " " + unit + ".",
                    smallest);
        }
    }

    /** That the softmax belongs to the hidden states, which takes a moment. */
    private void requireSense() {
        for (Part part : parts) {
            if (part.softmax() != null) {
                Finite.require(part.matrix(), backend::forEach);
                GroupReduce.requireSense(backend, model, part.name(), part.matrix(), part.softmax());
            }
        }
    }

    /** What is known too little of, and what is not written: said when nothing can be refused any more. */
    private void tellWhatIsMissing() {
        known.tellMissing(parts.stream().map(Part::name).toList());
        model.form()
                .ifPresent(form ->
                        tell.accept("Only the vocabulary's matrices and their biases are written; the rest stays in "
                                + job.input()
                                + (form.equals("onnx")
                                        ? ", and 'groupreduce export " + job.output() + " --to onnx --model "
                                                + job.input() + " -o OUT.onnx' puts them back."
                                        : ".")));
    }

    /** The options of one of several matrices: only an output matrix can be trained or judged on hidden states. */
    private CompressionOptions options(Part part) {
        SizeTarget target = job.options().target();
        if (target.size() > 0 && parts.size() > 1) {
            long share = (long) (target.size() * (part.matrix().storedBytes() / totalBytes));
            target = new SizeTarget(0, Math.max(1, share), target.unit());
        }
        CompressionOptions options = job.options().withTarget(target);
        return part.softmax() != null
                ? options
                : options.withCalibrationEpochs(0).withoutMaxLossIncrease();
    }

    /** Compresses one part after the other and writes them and what is copied. */
    private List<CompressionSummary> write(OutputFile output, Progress progress) {
        try (Arena arena = Arena.ofShared()) {
            List<CompressionSummary> summaries = new ArrayList<>();
            List<CompressedEntry> entries = new ArrayList<>();
            for (Part part : parts) {
                CompressionResult result = compress(part, summaries.size(), arena, progress);
                if (options(part).packed() && result.matrix().packed() == null) {
                    tell.accept(part.name()
                            + ": ordinary rows lose less at this size than packed ones, so they are not packed.");
                }
                summaries.add(result.summary());
                entries.add(
                        CompressedEntry.of(result, part.name(), part.logits()).in(model, !hasOutput()));
            }
            if (earlier != null) {
                entries.addAll(earlier.entries());
            }
            progress.at("writing " + job.output(), 0.95);
            if (toDirectory(job)) {
                new CompressedFolder(job, model, earlier, tell).write(output, entries, copied, tied);
            } else {
                CompressedFile.write(job.output(), entries, copied, metadata, tied);
            }
            progress.at("done", 1);
            return measured(summaries);
        }
    }

    /** With the bytes that the file took, rather than the most it could have taken. */
    private List<CompressionSummary> measured(List<CompressionSummary> summaries) {
        try (CompressedFile written = CompressedFile.open(job.output())) {
            return IntStream.range(0, parts.size())
                    .mapToObj(p -> summaries
                            .get(p)
                            .withBytes(written.require(parts.get(p).name()).bytes()))
                    .toList();
        }
    }

    private CompressionResult compress(Part part, int index, Arena arena, Progress progress) {
        Progress share = (step, done) ->
                progress.at(parts.size() == 1 ? step : part.name() + ": " + step, 0.95 * (index + done) / parts.size());
        CompressionChecks.requireShape(part.matrix());
        if (part.softmax() == null) {
            // Those that hidden states meet were looked at before the states were held against them.
            share.at("checking " + part.matrix().name(), 0);
            Finite.require(part.matrix(), backend::forEach);
        }
        Path metric = job.metrics().get(part.name());
        Metric given = metric == null ? null : MetricFile.read(metric, part.matrix());
        return GroupReduce.run(
                backend, part.matrix(), part.counts(), given, part.softmax(), options(part), arena, share);
    }
}
