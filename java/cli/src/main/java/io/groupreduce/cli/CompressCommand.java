package io.groupreduce.cli;

import io.groupreduce.Codec;
import io.groupreduce.CompressionJob;
import io.groupreduce.CompressionOptions;
import io.groupreduce.Evaluation;
import io.groupreduce.FileAccessException;
import io.groupreduce.GroupReduce;
import io.groupreduce.InvalidOptionException;
import io.groupreduce.Matrix;
import io.groupreduce.Method;
import io.groupreduce.SizeTarget;
import io.groupreduce.SizeUnit;
import io.groupreduce.backend.Backend;
import io.groupreduce.cli.report.HtmlReport;
import io.groupreduce.cli.report.NamedResult;
import io.groupreduce.cli.report.ReportData;
import io.groupreduce.compress.CompressionResult;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/** Compresses a model file. */
@Command(name = "compress", description = "Compresses the embedding and output matrices of a model.")
final class CompressCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Parameters(paramLabel = "INPUT", description = "A .safetensors file, a model directory, or a .npy file.")
    Path input;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "OUT",
            description = "The .safetensors file to write.")
    Path output;

    @Option(
            names = "--tensor",
            paramLabel = "NAME",
            description = "A matrix to compress; may be repeated (default: embedding and output, found by name).")
    List<String> tensors = List.of();

    @Option(
            names = "--counts",
            paramLabel = "FILE",
            description = "How often each token occurs: a count, or token<TAB>count, a line, in vocabulary order.")
    Path counts;

    @Option(
            names = "--hidden",
            paramLabel = "FILE",
            description = "Safetensors with hidden [T,D] and optionally targets [T]: evaluates the result on them.")
    Path hidden;

    @Option(
            names = "--metric",
            paramLabel = "TENSOR=FILE",
            description = "Safetensors with metric [D,D], the second moment of what meets the tensor; may be repeated.")
    Map<String, Path> metrics = Map.of();

    @Option(names = "--ratio", paramLabel = "R", description = "Source bytes / compressed bytes (default: 6.6).")
    Double ratio;

    @Option(names = "--size", paramLabel = "BYTES", description = "Largest size of all that replaces the matrices.")
    Long size;

    @Option(
            names = "--unit",
            paramLabel = "UNIT",
            defaultValue = "bytes",
            description = "What --ratio and --size count: bytes, or parameters as in the paper (default: bytes).")
    SizeUnit unit;

    @Option(
            names = "--method",
            paramLabel = "M",
            converter = MethodConverter.class,
            defaultValue = "groupreduce",
            description = "svd, weighted-svd or groupreduce (default: ${DEFAULT-VALUE}).")
    Method method;

    @Option(names = "--groups", paramLabel = "C", description = "Groups of equal count mass (default: 5).")
    Integer groups;

    @Option(names = "--alpha", paramLabel = "A", description = "Weights are (count + 1)^A (default: 1).")
    Double alpha;

    @Option(
            names = "--codec",
            paramLabel = "CODEC",
            converter = CodecConverter.class,
            defaultValue = "auto",
            description = "auto (f32 for an F32 source, else bf16), f32, bf16, int8, or int4.")
    CodecChoice codec;

    @Option(names = "--min-rank", paramLabel = "K", description = "Least rank of a group if it fits (default: 5).")
    Integer minRank;

    @Option(names = "--refine", paramLabel = "ROUNDS", description = "Most rounds of refinement (default: 10).")
    Integer refine;

    @Option(names = "--only", description = "Write only what is compressed, not the model's other tensors.")
    boolean only;

    @Option(names = "--report", paramLabel = "FILE.html", description = "Also write a report to look at.")
    Path report;

    @Option(names = "--force", description = "Replace existing output files.")
    boolean force;

    @Override
    public Integer call() {
        CompressionJob job = job();
        requireReportWritable();
        long begun = System.nanoTime();
        try (Backend backend = device.start(common::tell);
                HiddenStates states = hidden == null ? null : HiddenStates.open(hidden)) {
            requireMeeting(states);
            List<String> messages = new ArrayList<>();
            List<NamedResult> results;
            Map<String, Evaluation> evaluations = new LinkedHashMap<>();
            double seconds;
            try (Bar bar = Bar.start("compress", !common.json)) {
                List<CompressionResult> finished = GroupReduce.compress(job, backend, bar, messages::add);
                seconds = (System.nanoTime() - begun) / 1e9;
                bar.at("evaluating", 0.99);
                try (Model model = Model.open(input);
                        CompressedFile compressed = CompressedFile.open(output)) {
                    results = ReportBuilder.named(finished, compressed);
                    if (states != null) {
                        String tensor =
                                Softmax.outputAmong(compressed.matrices().keySet(), model);
                        evaluations.put(tensor, Softmax.evaluate(backend, model, compressed, tensor, states));
                    }
                    if (report != null) {
                        bar.at("report", 0.995);
                        ReportBuilder builder = new ReportBuilder(backend, model, counts);
                        ReportData data = builder.build(input, output, seconds, results, evaluations, List.of());
                        HtmlReport.write(report, data);
                    }
                }
            } finally {
                // After the bar is gone: a line in the middle of it would be torn.
                messages.forEach(common::tell);
            }
            show(backend, seconds, results, evaluations);
        }
        return 0;
    }

    private void requireReportWritable() {
        List<Path> used = new ArrayList<>(metrics.values());
        used.add(input);
        if (Files.isDirectory(input)) {
            try (Stream<Path> files = Files.list(input)) {
                files.forEach(used::add);
            } catch (IOException e) {
                throw new FileAccessException(input + " cannot be listed (" + e.getMessage() + ").", e);
            }
        }
        if (counts != null) {
            used.add(counts);
        }
        if (hidden != null) {
            used.add(hidden);
            OutputFile.require(output, List.of(hidden), force);
        }
        if (report != null) {
            used.add(output);
            OutputFile.require(report, used, force);
        }
    }

    /** Before the long work and before anything is written: the hidden states must fit the output matrix. */
    private void requireMeeting(HiddenStates states) {
        if (states == null) {
            return;
        }
        try (Model model = Model.open(input)) {
            List<String> names = tensors.isEmpty()
                    ? model.compressible().stream().map(Tensor::name).toList()
                    : tensors;
            String tensor = Softmax.outputAmong(names, model);
            Matrix matrix = model.require(tensor).matrix(model.fileOf(tensor).toString());
            states.require(matrix.columns(), matrix.rows());
        }
    }

    private CompressionJob job() {
        if (ratio != null && size != null) {
            throw new InvalidOptionException("--ratio and --size contradict each other; give one of them.");
        }
        SizeTarget target = size != null
                ? new SizeTarget(0, requirePositive(size), unit)
                : new SizeTarget(ratio == null ? 6.6 : ratio, 0, unit);
        CompressionOptions defaults = CompressionOptions.defaults();
        CompressionOptions options = new CompressionOptions(
                method,
                target,
                codec.codec(),
                Optional.empty(),
                groups == null ? defaults.groups() : groups,
                alpha == null ? defaults.alpha() : alpha,
                minRank == null ? defaults.minRank() : minRank,
                refine == null ? defaults.refineRounds() : refine);
        return new CompressionJob(input, output, tensors, counts, metrics, options, only, force);
    }

    private static long requirePositive(long size) {
        if (size <= 0) {
            throw new InvalidOptionException("--size is " + size + "; it must be a positive number.");
        }
        return size;
    }

    private void show(Backend backend, double seconds, List<NamedResult> results, Map<String, Evaluation> evaluations) {
        List<Map<String, Object>> documents = new ArrayList<>();
        long before = 0;
        long after = 0;
        for (NamedResult named : results) {
            CompressionResult result = named.result();
            Summary.Source source = Summary.Source.of(result);
            Summary.lines(result.matrix().named(named.tensor()), source).forEach(common::print);
            Evaluation evaluation = evaluations.get(named.tensor());
            Map<String, Object> document = Summary.document(result.matrix().named(named.tensor()), source);
            if (evaluation != null) {
                Summary.lines(evaluation).forEach(common::print);
                document.put("evaluation", Summary.document(evaluation));
            }
            documents.add(document);
            before += source.bytes();
            after += result.matrix().bytes();
        }
        common.print(Texts.format(
                "%s: %s -> %s, %.2f times smaller, in %.1f s on %s",
                output,
                Texts.bytes(before),
                Texts.bytes(after),
                (double) before / after,
                seconds,
                backend.description()));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("input", input.toString());
        document.put("output", output.toString());
        document.put("device", backend.name());
        document.put("seconds", seconds);
        document.put("sourceBytes", before);
        document.put("bytes", after);
        document.put("ratio", (double) before / after);
        document.put("tensors", documents);
        common.printJson(document);
    }

    /** {@code weighted-svd} to {@link Method#WEIGHTED_SVD}. */
    static final class MethodConverter implements ITypeConverter<Method> {
        @Override
        public Method convert(String value) {
            for (Method candidate : Method.values()) {
                if (candidate.label().equalsIgnoreCase(value)) {
                    return candidate;
                }
            }
            throw new TypeConversionException("'" + value + "' is no method; use svd, weighted-svd or groupreduce.");
        }
    }

    /** A codec, or none for {@code auto}. */
    record CodecChoice(Optional<Codec> codec) {}

    /** {@code auto} to none. */
    static final class CodecConverter implements ITypeConverter<CodecChoice> {
        @Override
        public CodecChoice convert(String value) {
            if (value.equalsIgnoreCase("auto")) {
                return new CodecChoice(Optional.empty());
            }
            for (Codec candidate : Codec.values()) {
                if (candidate.label().equalsIgnoreCase(value)) {
                    return new CodecChoice(Optional.of(candidate));
                }
            }
            throw new TypeConversionException("'" + value + "' is no codec; use auto, f32, bf16, int8 or int4.");
        }
    }
}
