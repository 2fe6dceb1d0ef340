package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.cli.report.HtmlReport;
import io.groupreduce.cli.report.MethodRow;
import io.groupreduce.cli.report.NamedResult;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.format.AtomicFile;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The main job on the model that ships with the project: compress, evaluate, report. */
@Command(
        name = "demo",
        description = "Compresses, evaluates and reports on the small model that ships with the project.")
final class DemoCommand implements Callable<Integer> {
    private static final List<String> FILES = List.of("model.safetensors", "counts.tsv", "hidden.safetensors");
    private static final String SOFTMAX = "softmax.weight";
    private static final double[] RATIOS = {6.6, 15};
    private static final int EPOCHS = 5;

    /** The hidden states of the first half of the text shape the compression, those of the second judge it. */
    private static final String FIT = "hidden.fit.safetensors";

    private static final String JUDGE = "hidden.judge.safetensors";

    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "DIRECTORY",
            defaultValue = "groupreduce-demo",
            description = "Where the demo model and the results go (default: ${DEFAULT-VALUE}).")
    Path directory;

    @Override
    public Integer call() {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw unwritable(e);
        }
        List<Path> files = FILES.stream().map(directory::resolve).toList();
        try (OutputFile report = OutputFile.claim(directory.resolve("report.html"), files, true)) {
            unpack();
            for (String half : List.of(FIT, JUDGE)) {
                // A link among the results must not lead to what they are made from.
                OutputFile.claim(directory.resolve(half), files, true).close();
            }
            halve();
            run(directory.resolve("model.groupreduce.safetensors"), report.path());
        }
        return 0;
    }

    private void run(Path output, Path report) {
        CompressionJob job = CompressionJob.of(directory.resolve(FILES.get(0)), output)
                .withCounts(directory.resolve(FILES.get(1)))
                .withHidden(directory.resolve(FIT))
                .withOverwrite(true);
        long begun = System.nanoTime();
        try (Backend backend = device.start(common::tell);
                Model model = Model.open(job.input());
                HiddenStates fit = HiddenStates.open(directory.resolve(FIT));
                HiddenStates judge = HiddenStates.open(directory.resolve(JUDGE))) {
            List<NamedResult> results;
            List<MethodRow> rows;
            double seconds;
            try (Bar bar = Bar.start("demo", !common.json)) {
                List<CompressionSummary> finished =
                        GroupReduce.compress(job, backend, (step, done) -> bar.at(step, 0.3 * done), common::tell);
                seconds = (System.nanoTime() - begun) / 1e9;
                try (CompressedFile compressed = CompressedFile.open(output)) {
                    results = ReportBuilder.named(finished, compressed);
                    Evaluation evaluation = Softmax.evaluate(backend, model, compressed, SOFTMAX, judge);
                    rows = compare(backend, model, job.counts(), fit, judge, bar);
                    bar.at("report", 0.8);
                    Judgement judgement = new Judgement(SOFTMAX, evaluation, judge, fit, false);
                    ReportBuilder builder = new ReportBuilder(backend, model, job, device.threads(backend));
                    HtmlReport.write(report, builder.build(compressed, seconds, results, judgement, rows));
                }
            }
            show(backend, results, rows, output, report, seconds);
        }
    }

    /** Writes the demo's files, unless they are there already; a folder with anything else in it is left alone. */
    private void unpack() {
        try {
            boolean empty;
            try (Stream<Path> files = Files.list(directory)) {
                // The claim, and what is left of a demo that was killed, are hidden.
                empty = files.noneMatch(file -> !file.getFileName().toString().startsWith("."));
            }
            for (String file : FILES) {
                byte[] content = resource(file);
                Path target = directory.resolve(file);
                if (empty) {
                    AtomicFile.writeBytes(target, content);
                } else if (!Files.exists(target) || !Arrays.equals(content, Files.readAllBytes(target))) {
                    throw new FileAccessException("The folder " + directory
                            + " holds something else than this demo; name a new folder with -o.");
                }
            }
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    private FileAccessException unwritable(IOException cause) {
        return new FileAccessException(
                "The demo cannot write into " + directory + " (" + cause.getMessage()
                        + "); name another folder with -o.",
                cause);
    }

    private static byte[] resource(String file) throws IOException {
        try (InputStream in = DemoCommand.class.getResourceAsStream("demo/" + file)) {
            if (in == null) {
                throw new IllegalStateException("the demo file " + file + " is missing from the jar");
            }
            return in.readAllBytes();
        }
    }

    /** Writes both halves of the hidden states as files of their own, so that each run of the demo can be repeated. */
    private void halve() {
        try (Safetensors whole = Safetensors.open(directory.resolve(FILES.get(2)))) {
            int tokens = (int) whole.require("hidden").shape()[0];
            write(whole, FIT, 0, tokens / 2);
            write(whole, JUDGE, tokens / 2, tokens);
        }
    }

    private void write(Safetensors whole, String name, int from, int to) {
        List<Tensor> part = new ArrayList<>();
        for (Tensor tensor : whole.tensors().values()) {
            long[] shape = tensor.shape();
            long row = tensor.bytes() / shape[0];
            shape[0] = to - from;
            part.add(new Tensor(
                    tensor.name(), tensor.type(), shape, tensor.data().asSlice(from * row, shape[0] * row)));
        }
        SafetensorsWriter.write(directory.resolve(name), part, whole.metadata());
    }

    /** The softmax alone: dense, by three methods at two sizes, and the smallest one calibrated, and packed. */
    private static List<MethodRow> compare(
            Backend backend, Model model, Path countsFile, HiddenStates fit, HiddenStates judge, Progress progress) {
        Matrix dense = model.require(SOFTMAX).matrix("demo");
        SoftmaxData known = model.softmax(SOFTMAX, fit);
        long[] counts = CountsFile.read(countsFile, dense.rows());
        List<CompressionOptions> variants = new ArrayList<>();
        for (double ratio : RATIOS) {
            for (Method method : List.of(Method.SVD, Method.GROUPREDUCE, Method.RATE_DISTORTION)) {
                variants.add(CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.ratio(ratio)));
            }
        }
        CompressionOptions best = variants.getLast();
        variants.add(best.withCalibrationEpochs(EPOCHS));
        variants.add(best.withPacked(true));
        List<MethodRow> rows = new ArrayList<>();
        for (CompressionOptions options : variants) {
            String name = options.method().label()
                    + (options.calibrationEpochs() > 0 ? ", calibrated" : options.packed() ? ", packed" : "");
            double begun = 0.3 + 0.5 * rows.size() / variants.size();
            double share = 0.5 / variants.size();
            try (Arena arena = Arena.ofShared()) {
                CompressionResult result = GroupReduce.compress(
                        backend,
                        dense,
                        counts,
                        null,
                        known,
                        options,
                        arena,
                        (step, done) -> progress.at(name + ": " + step, begun + share * done));
                rows.add(new MethodRow(
                        name,
                        result.summary().ratio(),
                        result.matrix().bytes(),
                        result.matrix().coordinatesPerRow(),
                        result.summary().relativeError(),
                        GroupReduce.evaluate(
                                backend, dense, known.bias(), result.matrix(), judge.hidden(), judge.targets())));
            }
        }
        Evaluation any = rows.get(0).evaluation();
        Estimate none = Estimate.exact(0);
        Estimate all = Estimate.exact(1);
        Evaluation itself = new Evaluation(any.tokens(), any.denseLoss(), any.denseLoss(), none, none, all, all);
        rows.add(0, new MethodRow("dense", 1, dense.bytes(), dense.columns(), 0, itself));
        return rows;
    }

    private void show(
            Backend backend,
            List<NamedResult> results,
            List<MethodRow> rows,
            Path output,
            Path report,
            double seconds) {
        List<Map<String, Object>> documents = new ArrayList<>();
        common.print("A word-level LSTM language model of the King James Bible, on " + backend.description() + ".");
        common.print("");
        for (NamedResult named : results) {
            Summary.Source source = Summary.Source.of(named.result());
            Summary.lines(named.matrix(), source).forEach(common::print);
            documents.add(Summary.document(named.matrix(), source));
        }
        common.print("");
        common.print("The softmax by method, judged on "
                + rows.get(0).evaluation().tokens() + " tokens that none was fitted to:");
        List<List<String>> table = new ArrayList<>();
        table.add(List.of(
                "  method",
                "ratio",
                "bytes",
                "coordinates a row",
                "count-weighted error",
                "perplexity",
                "increase",
                "KL",
                "top-1 same"));
        List<Map<String, Object>> comparison = new ArrayList<>();
        for (MethodRow row : rows) {
            Evaluation e = row.evaluation();
            table.add(List.of(
                    "  " + row.method(),
                    Texts.format("%.1f", row.ratio()),
                    Figures.bytes(row.bytes()),
                    Figures.mean(row.coordinatesPerRow()),
                    Texts.format("%.4f", row.relativeError()),
                    Texts.format("%.2f", e.compressedPerplexity()),
                    Figures.signedPercent(e.perplexityIncrease().mean()),
                    Texts.format("%.4f", e.kl().mean()),
                    Figures.percent(e.top1().mean())));
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("method", row.method());
            document.put("ratio", row.ratio());
            document.put("bytes", row.bytes());
            document.put("coordinatesPerRow", row.coordinatesPerRow());
            document.put("relativeError", row.relativeError());
            document.putAll(Summary.document(e));
            comparison.add(document);
        }
        Texts.table(table).forEach(common::print);
        common.print("");
        common.print(Texts.format("Compressed in %.1f s to %s; the report is %s.", seconds, output, report));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("output", output.toString());
        document.put("report", report.toString());
        document.put("device", backend.name());
        document.put("seconds", seconds);
        document.put("tensors", documents);
        document.put("comparison", comparison);
        common.printJson(document);
    }
}
