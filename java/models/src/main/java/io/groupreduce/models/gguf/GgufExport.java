package io.groupreduce.models.gguf;

import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.MetricFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.Wording;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.rounding.MetricRounding;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Writes a GGUF model again with its embedding and its output rounded anew, to a standard type: so that errors are small where hidden states
 * are, which no reader needs to know. Rows come from the same model or from the one that it was quantised from.
 */
public final class GgufExport {
    /** Types that may be written, for whoever names one. */
    public static final List<GgufType> TYPES = Arrays.stream(GgufType.values())
            .filter(type -> BlockLayout.of(type).isPresent())
            .toList();

    private static final List<GgufType> DENSE = List.of(GgufType.F32, GgufType.F16, GgufType.BF16);

    /** Rows that types are compared on, and that are held against those of the model. */
    private static final int COMPARED = 512;

    /** Of rows that mean the same; two bits for each number come to 0.3. */
    private static final double FARTHEST = 0.6;

    /** The same of a compressed file, which may have lost most of the rare rows; rows of another model come to 1 and more. */
    private static final double FARTHEST_COMPRESSED = 0.95;

    /**
     * What is wanted.
     *
     * @param input where rows come from: a model of any format, or a compressed file
     * @param model the GGUF model that everything else comes from; may be the input
     * @param types the types to choose from, by least error; empty for those that the model's own tensors have
     * @param anyType whether any type may be chosen that takes no more bytes than the model's own
     * @param hidden states that meet the output; {@code null} for none
     * @param metrics files with what meets a tensor of the model beside them, by its name
     * @param vocabulary what is said of the input's matrices
     * @param overwrite whether an existing file may be replaced
     */
    public record Job(
            Path input,
            Path model,
            Path output,
            List<GgufType> types,
            boolean anyType,
            Path hidden,
            Map<String, Path> metrics,
            VocabularyChoice vocabulary,
            boolean overwrite) {}

    /**
     * What became of a tensor.
     *
     * @param before its type in the model
     * @param error sqrt(sum ||A_i - A^_i||^2 / sum ||A_i||^2) of what was written
     * @param metricError the same under what meets the tensor, of some rows; NaN where that is not known
     */
    public record Rounded(
            String tensor,
            GgufType before,
            GgufType type,
            long bytesBefore,
            long bytes,
            double error,
            double metricError) {}

    private final Job job;
    private final RowSource input;
    private final GgufFile model;
    private final Parallel threads;
    private final Progress progress;
    private final Consumer<String> tell;

    private GgufExport(
            Job job, RowSource input, GgufFile model, Parallel threads, Progress progress, Consumer<String> tell) {
        this.job = job;
        this.input = input;
        this.model = model;
        this.threads = threads;
        this.progress = progress;
        this.tell = tell;
    }

    /**
     * Rounds and writes; the output appears under its name only when it is complete and was read again.
     *
     * @param tell hears things the user should know, one sentence each
     * @throws InvalidDataException if the rows are not those of the model, or a type cannot hold them
     */
    public static List<Rounded> run(Job job, int threads, Progress progress, Consumer<String> tell) {
        try (ForkJoinPool pool = new ForkJoinPool(threads);
                GgufFile model = GgufFile.open(job.model());
                RowSource input = RowSource.open(job.input(), job.vocabulary());
                HiddenStates hidden = job.hidden() == null ? null : HiddenStates.open(job.hidden())) {
            List<Path> read = new ArrayList<>(input.files());
            read.addAll(model.files());
            read.addAll(job.metrics().values());
            if (hidden != null) {
                read.add(job.hidden());
            }
            try (OutputFile output = OutputFile.claim(job.output(), read, job.overwrite())) {
                Parallel parallel = (tasks, task) -> pool.submit(
                                () -> IntStream.range(0, tasks).parallel().forEach(task))
                        .join();
                return new GgufExport(job, input, model, parallel, progress, tell).run(output, hidden);
            }
        }
    }

    /** A tensor that is rounded, and how. */
    private record Part(GgufTensor tensor, RowSource.Rows rows, Metric metric, GgufType type) {}

    private List<Rounded> run(OutputFile output, HiddenStates hidden) {
        List<Part> parts = parts(hidden);
        Map<String, GgufTensor> tensors = new LinkedHashMap<>(model.tensors());
        try (Arena arena = Arena.ofShared()) {
            List<Rounded> rounded = new ArrayList<>();
            for (Part part : parts) {
                GgufTensor tensor = part.tensor();
                double share = 1.0 / parts.size();
                double from = rounded.size() * share;
                GgufTensor made = round(part.rows(), part.metric(), part.type(), arena, from, share);
                tensors.put(
                        tensor.name(), new GgufTensor(tensor.name(), part.type(), tensor.shape(), made.data(), null));
                rounded.add(new Rounded(
                        tensor.name(),
                        tensor.type(),
                        part.type(),
                        tensor.data().byteSize(),
                        made.data().byteSize(),
                        error(part.rows(), made, null, part.rows().rows()),
                        part.metric() == null ? Double.NaN : error(part.rows(), made, part.metric(), COMPARED)));
            }
            GgufWriter writer = new GgufWriter(model, tensors);
            output.requireRoom(writer.bytes());
            progress.at("writing " + output.path(), 0.99);
            writer.write(output.path());
            return rounded;
        }
    }

    private List<Part> parts(HiddenStates hidden) {
        GgufModel vocabulary = new GgufModel(model, VocabularyChoice.NONE);
        boolean apart = model.tensors().containsKey(GgufModel.OUTPUT);
        boolean tied = !apart && vocabulary.withoutLogits().isEmpty();
        if (hidden != null && !apart && !tied) {
            throw new InvalidDataException("Hidden states meet no matrix of " + Wording.file(model.path()) + ": "
                    + vocabulary.withoutLogits().orElseThrow() + ".");
        }
        List<Part> parts = new ArrayList<>();
        if (hidden == null) {
            tell.accept(
                    "No hidden states were given, so all directions count alike; --hidden makes errors small where states are.");
        }
        if (input.isCompressed()) {
            tell.accept(
                    Wording.file(input.path())
                            + " is compressed, and what it lost is in the rows that are rounded; give the model that it was made of to lose less.");
        }
        for (var found : vocabulary.vocabulary()) {
            GgufTensor tensor = model.tensors().get(found.tensor().name());
            if (!tensor.isMatrix()
                    || !List.of(GgufModel.EMBEDDING, GgufModel.OUTPUT).contains(tensor.name())) {
                continue;
            }
            boolean output = found.role() == Model.Role.OUTPUT;
            boolean meetsStates = output || tied;
            RowSource.Rows rows = input.find(output);
            requireSame(tensor, rows);
            Metric metric = metric(tensor, rows, meetsStates ? hidden : null);
            parts.add(new Part(tensor, rows, metric, type(tensor, rows, metric)));
        }
        if (parts.isEmpty()) {
            throw new InvalidDataException(Wording.file(model.path()) + " has no matrix " + GgufModel.EMBEDDING
                    + " that could be rounded; name the model's main file.");
        }
        List<String> names = parts.stream().map(part -> part.tensor().name()).toList();
        for (String name : job.metrics().keySet()) {
            if (!names.contains(name)) {
                throw new InvalidDataException("A metric was given for " + Wording.quoted(name)
                        + ", which is not rounded; rounded are " + String.join(", ", names) + ".");
            }
        }
        return parts;
    }

    private void requireSame(GgufTensor tensor, RowSource.Rows rows) {
        String label = Wording.file(model.path()) + ": tensor " + Wording.quoted(tensor.name());
        long[] shape = tensor.shape();
        if (shape[0] != rows.rows() || shape[1] != rows.columns()) {
            throw new InvalidDataException(label + " has shape " + Wording.shape(shape) + " and "
                    + Wording.quoted(rows.name()) + " of " + Wording.file(input.path()) + " has [" + rows.rows() + ", "
                    + rows.columns() + "]; give the model that it was converted from.");
        }
        boolean readable =
                DENSE.contains(tensor.type()) || BlockLayout.of(tensor.type()).isPresent();
        double apart = readable ? error(rows, tensor, null, COMPARED, true) : 0;
        if (apart > (input.isCompressed() ? FARTHEST_COMPRESSED : FARTHEST)) {
            throw new InvalidDataException(label + " does not hold the rows of " + Wording.quoted(rows.name()) + " of "
                    + Wording.file(input.path()) + ": they differ by " + Math.round(100 * apart)
                    + " % of their length; give the model that it was converted from.");
        }
    }

    private Metric metric(GgufTensor tensor, RowSource.Rows rows, HiddenStates hidden) {
        DenseAlgebra algebra = new DenseAlgebra(threads);
        Path file = job.metrics().get(tensor.name());
        Metric given = file == null
                ? null
                : MetricFile.read(file, Matrix.of(tensor.name(), new float[rows.columns()], 1, rows.columns()));
        if (hidden == null) {
            return given;
        }
        SoftmaxData softmax = input.softmax(hidden);
        Matrix states = softmax.hidden();
        if (states.columns() != rows.columns()) {
            throw new InvalidDataException(states.name() + " has " + states.columns() + " columns but "
                    + Wording.quoted(tensor.name()) + " has " + rows.columns()
                    + "; give the states that meet this model's output.");
        }
        Finite.require(states);
        input.requireSense(softmax);
        Metric met = MetricRoot.hiddenMoment(algebra, states);
        return given == null ? met : mean(met, given);
    }

    /** The mean of two moments, each of trace 1. */
    private static Metric mean(Metric first, Metric second) {
        double[] sum = new double[first.moment().length];
        for (int i = 0; i < sum.length; i++) {
            sum[i] = first.moment()[i] / first.trace() + second.moment()[i] / second.trace();
        }
        return new Metric(first.name() + " and " + second.name(), first.columns(), sum);
    }

    private GgufType type(GgufTensor tensor, RowSource.Rows rows, Metric metric) {
        String label = Wording.file(model.path()) + ": tensor " + Wording.quoted(tensor.name());
        List<GgufType> wanted = !job.types().isEmpty()
                ? job.types()
                : job.anyType()
                        ? TYPES.stream()
                                .filter(type -> type.bits() <= tensor.type().bits())
                                .toList()
                        : List.of(tensor.type());
        if (!TYPES.containsAll(wanted)) {
            throw new InvalidDataException(label + " is stored as " + tensor.type()
                    + ", to which nothing is rounded here; name a type with --type: " + names(TYPES) + ".");
        }
        List<GgufType> fitting = wanted.stream()
                .filter(type -> rows.columns() % type.blockElements() == 0)
                .toList();
        if (fitting.isEmpty()) {
            throw new InvalidDataException(label + " has rows of " + rows.columns() + " numbers, which " + names(wanted)
                    + " cannot hold in whole blocks; name another type with --type.");
        }
        // Where any type will do, those of far fewer bits cannot be the best.
        double most = fitting.stream().mapToDouble(GgufType::bits).max().orElseThrow();
        Map<GgufType, Double> errors = new LinkedHashMap<>();
        for (GgufType type : fitting) {
            if (fitting.size() == 1) {
                return type;
            }
            if (!job.anyType() || type.bits() > most - 1) {
                errors.put(type, errorOf(type, rows, metric));
            }
        }
        return Collections.min(errors.entrySet(), Map.Entry.comparingByValue()).getKey();
    }

    private static String names(List<GgufType> types) {
        return types.stream().map(GgufType::name).collect(Collectors.joining(", "));
    }

    /** What some rows would lose. */
    private double errorOf(GgufType type, RowSource.Rows rows, Metric metric) {
        int count = Math.min(COMPARED, rows.rows());
        MetricRounding.Rows some = (first, n, target, at) -> {
            for (int i = 0; i < n; i++) {
                int row = (int) ((long) (first + i) * rows.rows() / count);
                rows.reader().read(row, 1, target, at + i * rows.columns());
            }
        };
        try (Arena arena = Arena.ofShared()) {
            RowSource.Rows picked = new RowSource.Rows(rows.name(), count, rows.columns(), some);
            return error(picked, round(picked, metric, type, arena, 0, 0), metric, count);
        }
    }

    private GgufTensor round(
            RowSource.Rows rows, Metric metric, GgufType type, Arena arena, double from, double share) {
        BlockLayout layout = BlockLayout.of(type).orElseThrow();
        MemorySegment data = arena.allocate(type.bytes((long) rows.rows() * rows.columns()), Long.BYTES);
        MetricRounding rounding = metric == null
                ? MetricRounding.plain(rows.columns(), type.blockElements())
                : MetricRounding.of(metric, type.blockElements(), threads);
        AtomicInteger done = new AtomicInteger();
        MetricRounding.Rows counted = (first, count, target, at) -> {
            rows.reader().read(first, count, target, at);
            requireFinite(rows, first, target, at, count * rows.columns());
            double part = (double) done.addAndGet(count) / rows.rows();
            synchronized (progress) {
                progress.at("rounding " + rows.name() + " to " + type, from + share * part);
            }
        };
        rounding.round(counted, rows.rows(), new BlockRounding(layout, rows.columns(), data), threads);
        long[] shape = {rows.rows(), rows.columns()};
        return new GgufTensor(rows.name(), type, shape, data, null);
    }

    private void requireFinite(RowSource.Rows rows, int first, float[] numbers, int at, int count) {
        int wrong = Finite.firstNot(numbers, at, at + count);
        if (wrong >= 0) {
            throw new InvalidDataException(Wording.file(input.path()) + ": tensor " + Wording.quoted(rows.name())
                    + " holds NaN or infinity in row " + (first + (wrong - at) / rows.columns())
                    + "; start from a whole model.");
        }
    }

    /** How far a tensor is from the rows it stands for, of the rows' own length, on evenly spaced ones. */
    private double error(RowSource.Rows rows, GgufTensor made, Metric metric, int most) {
        return error(rows, made, metric, most, false);
    }

    /** @param longer whether it is of the longer of both */
    private double error(RowSource.Rows rows, GgufTensor made, Metric metric, int most, boolean longer) {
        int count = Math.min(most, rows.rows());
        int columns = rows.columns();
        double[] errors = new double[count];
        double[] lengths = new double[count];
        double[] lengthsMade = new double[count];
        threads.forEach(count, i -> {
            int row = (int) ((long) i * rows.rows() / count);
            float[] wanted = new float[columns];
            float[] read = new float[columns];
            rows.reader().read(row, 1, wanted, 0);
            GgufNumbers.readRows(made, row, 1, read, 0);
            lengths[i] = square(wanted, metric);
            lengthsMade[i] = longer ? square(read, metric) : 0;
            for (int j = 0; j < columns; j++) {
                read[j] -= wanted[j];
            }
            errors[i] = square(read, metric);
        });
        double length = Math.max(
                Arrays.stream(lengths).sum(), Arrays.stream(lengthsMade).sum());
        double error = Arrays.stream(errors).sum();
        return error == 0 ? 0 : Math.sqrt(error / length);
    }

    private static double square(float[] x, Metric metric) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            double product = x[i];
            if (metric != null) {
                product = 0;
                for (int j = 0; j < x.length; j++) {
                    product += metric.moment()[i * x.length + j] * x[j];
                }
            }
            sum += product * x[i];
        }
        return sum;
    }
}
