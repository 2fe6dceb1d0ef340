package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.cli.report.HtmlReport;
import io.groupreduce.cli.report.NamedResult;
import io.groupreduce.cli.report.QueryTime;
import io.groupreduce.cli.report.ReportData;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Compresses a model file. */
@Command(name = "compress", description = "Compresses the embedding and output matrices of a model.")
final class CompressCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Parameters(paramLabel = "INPUT", description = "A .safetensors, .onnx, .gguf or .npy file, or a model directory.")
    Path input;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "OUT",
            description =
                    "The .safetensors file to write; of a model directory, under any other name, a directory like it.")
    Path output;

    @Option(
            names = "--tensor",
            paramLabel = "NAME",
            description = "A matrix to compress; may be repeated (default: embedding and output, found by name).")
    List<String> tensors = List.of();

    @Mixin
    VocabularyOptions vocabulary;

    @Option(
            names = "--counts",
            paramLabel = "[TENSOR=]FILE|zipf",
            description =
                    "How often each token occurs: a count, or token<TAB>count, a line, in vocabulary order; with a"
                            + " tensor for that one alone, may be repeated. zipf guesses them for a vocabulary in order of"
                            + " frequency (./zipf is a file).")
    List<String> counts = List.of();

    @Option(
            names = "--hidden",
            paramLabel = "FILE",
            description = "Safetensors with hidden [T,D], what meets the output matrix, and optionally targets [T]: the"
                    + " compression is fitted to them and evaluated on them.")
    Path hidden;

    @Option(
            names = "--metric",
            paramLabel = "TENSOR=FILE",
            description = "Safetensors with metric [D,D], the second moment of what meets the tensor; may be repeated.")
    Map<String, Path> metrics = Map.of();

    @Mixin
    MethodOptions recipe;

    @Option(names = "--only", description = "Write only what is compressed, not the model's other tensors.")
    boolean only;

    @Option(names = "--report", paramLabel = "FILE.html", description = "Also write a report to look at.")
    Path report;

    @Option(names = "--force", description = "Replace existing output files.")
    boolean force;

    @Override
    public Integer call() {
        CompressionJob job = job();
        long begun = System.nanoTime();
        try (OutputFile claimed = claimReport(job);
                Backend backend = device.start(common::tell)) {
            List<String> messages = new ArrayList<>();
            List<NamedResult> results;
            Judgement judgement = null;
            Map<String, QueryTime> queries = Map.of();
            double seconds;
            try (Bar bar = Bar.start("compress", !common.json)) {
                List<CompressionSummary> finished = GroupReduce.compress(job, backend, bar, messages::add);
                seconds = (System.nanoTime() - begun) / 1e9;
                bar.at("evaluating", 0.99);
                try (Model model = Model.open(input, job.vocabulary());
                        CompressedFile compressed = CompressedFile.open(output);
                        HiddenStates states = hidden == null ? null : HiddenStates.open(hidden)) {
                    results = ReportBuilder.named(finished, compressed);
                    if (states != null) {
                        List<String> tensors =
                                results.stream().map(NamedResult::tensor).toList();
                        judgement = judge(backend, model, compressed, tensors, states, job.options());
                    }
                    if (job.options().maxLossIncrease().isPresent() && results.size() > 1) {
                        messages.add("The largest loss increase is aimed at for " + judgement.tensor()
                                + " alone; the other matrices took the ratio "
                                + job.options().target().ratio() + ".");
                    }
                    if (claimed != null) {
                        bar.at("report", 0.995);
                        ReportData data = new ReportBuilder(backend, model, job, device.threads(backend))
                                .build(compressed, seconds, results, judgement, List.of());
                        HtmlReport.write(claimed.path(), data);
                        queries = data.queries();
                    }
                }
            } finally {
                // After the bar is gone: a line in the middle of it would be torn.
                messages.forEach(common::tell);
            }
            show(backend, seconds, results, judgement, queries);
        }
        return 0;
    }

    private CompressionJob job() {
        Path ofAll = null;
        Map<String, Path> ofOne = new LinkedHashMap<>();
        for (String given : counts) {
            int at = Files.exists(Path.of(given)) ? -1 : given.indexOf('=');
            Path file = Path.of(given.substring(at + 1));
            Path other = at < 0 ? ofAll : ofOne.put(given.substring(0, at), file);
            ofAll = at < 0 ? file : ofAll;
            if (other != null) {
                throw new InvalidOptionException("--counts " + given + " comes after " + other
                        + "; give one file for all matrices, and TENSOR=FILE once for each that has its own.");
            }
        }
        return new CompressionJob(
                input,
                output,
                tensors,
                vocabulary.choice(),
                ofAll,
                ofOne,
                metrics,
                hidden,
                recipe.options(),
                only,
                force);
    }

    private static Judgement judge(
            Backend backend,
            Model model,
            CompressedFile compressed,
            List<String> tensors,
            HiddenStates states,
            CompressionOptions options) {
        String tensor = model.outputAmong(tensors);
        boolean fitted = options.method() == Method.RATE_DISTORTION || options.calibrationEpochs() > 0;
        Evaluation evaluation = Softmax.evaluate(backend, model, compressed, tensor, states);
        return new Judgement(tensor, evaluation, states, states, fitted);
    }

    /** The report, checked like the output; {@code null} where none is wanted. */
    private OutputFile claimReport(CompressionJob job) {
        if (report == null) {
            return null;
        }
        List<Path> used = new ArrayList<>(metrics.values());
        used.add(output);
        used.addAll(job.countsOf().values());
        Stream.of(job.counts(), hidden).filter(Objects::nonNull).forEach(used::add);
        try (Model model = Model.open(input)) {
            used.addAll(OutputFile.filesOf(model));
        }
        return OutputFile.claim(report, used, force);
    }

    private void show(
            Backend backend,
            double seconds,
            List<NamedResult> results,
            Judgement judgement,
            Map<String, QueryTime> queries) {
        List<Map<String, Object>> documents = new ArrayList<>();
        long before = 0;
        long after = 0;
        for (NamedResult named : results) {
            CompressionSummary result = named.result();
            Summary.Source source = Summary.Source.of(result);
            Summary.lines(named.matrix(), source).forEach(common::print);
            if (result.heldOut() != null) {
                common.print(Texts.format(
                        "mean cross-entropy on %d held-out states: %.4f -> %.4f (%s)%s",
                        result.heldOut().states(),
                        result.heldOut().denseLoss(),
                        result.heldOut().compressedLoss(),
                        Figures.signedPercent(result.heldOut().increase()),
                        result.calibration().isEmpty() ? "" : ", before calibration"));
            }
            Map<String, Object> document = Summary.document(named.matrix(), source);
            QueryTime query = queries.get(named.tensor());
            if (query != null) {
                common.print(query.sentence());
                document.put("query", Summary.document(query));
            }
            if (result.heldOut() != null) {
                document.put("heldOut", CompressedEntry.document(result.heldOut()));
            }
            if (judgement != null && judgement.tensor().equals(named.tensor())) {
                Summary.lines(judgement.evaluation()).forEach(common::print);
                Map<String, Object> evaluation = Summary.document(judgement.evaluation());
                evaluation.put("fittedToHidden", judgement.fittedToHidden());
                document.put("evaluation", evaluation);
                if (judgement.fittedToHidden()) {
                    common.print(HtmlReport.FITTED);
                }
            }
            documents.add(document);
            before += source.bytes();
            after += result.bytes();
        }
        common.print(Texts.format(
                "%s: %s -> %s, %.2f times smaller, in %.1f s on %s",
                output,
                Figures.bytes(before),
                Figures.bytes(after),
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
}
