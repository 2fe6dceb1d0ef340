package io.groupreduce.cli;

import io.groupreduce.api.Progress;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.OutputFile;
import io.groupreduce.models.run.CollectJob;
import io.groupreduce.models.run.Collected;
import io.groupreduce.models.run.Collector;
import io.groupreduce.models.text.TextFiles;
import io.groupreduce.models.text.TokenCounts;
import io.groupreduce.models.text.Tokenizer;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs a model over text and keeps what meets its output matrix. */
@Command(
        name = "collect",
        description =
                "Runs an ONNX model over text and writes the hidden states that meet its output matrix, for --hidden; of an"
                        + " encoder the metric of its embedding, for --metric.")
final class CollectCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Parameters(
            index = "0",
            paramLabel = "MODEL.onnx",
            description = "An ONNX model with an output layer, or an encoder.")
    Path model;

    @Parameters(
            index = "1..*",
            arity = "1..*",
            paramLabel = "TEXT",
            description = "Text files in UTF-8, plain or gzip; they are read twice.")
    List<Path> texts;

    @Option(
            names = "--tokenizer",
            required = true,
            paramLabel = "tokenizer.json",
            description = "The model's tokenizer, as it lies beside the model.")
    Path tokenizer;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "hidden.safetensors",
            description = "The file to write: hidden [T,D] and targets [T], or metric [D,D].")
    Path output;

    @Option(
            names = "--counts-out",
            paramLabel = "counts.tsv",
            description = "Also write how often each token occurs in the texts, as 'groupreduce count' does.")
    Path countsOutput;

    @Mixin
    VocabularyOptions vocabulary;

    @Option(
            names = "--states",
            paramLabel = "T",
            description = "The most hidden states, evenly spaced over the text (default: " + CollectJob.USUAL_STATES
                    + "), or tokens that a metric is taken of (default: " + CollectJob.USUAL_TOKENS + ").")
    int states;

    @Option(
            names = "--length",
            paramLabel = "L",
            description = "Tokens of a sequence (default: what the model takes if it takes one length alone, else "
                    + CollectJob.USUAL_LENGTH + "; of a metric 16).")
    int length;

    @Option(names = "--threads", paramLabel = "T", description = "Worker threads (default: one a processor).")
    Integer threads;

    @Option(names = "--force", description = "Replace an existing output file.")
    boolean force;

    @Override
    public Integer call() throws Exception {
        int workers = DeviceOptions.threadCount(threads);
        List<Path> read = new ArrayList<>(texts);
        read.add(model);
        read.add(tokenizer);
        long begun = System.nanoTime();
        try (OutputFile claimed = OutputFile.claim(output, read, force);
                OutputFile counted = claimCounts(read)) {
            CollectJob job = new CollectJob(
                    model, tokenizer, texts, claimed.path(), vocabulary.choice(), states, length, workers);
            Collected found;
            List<String> messages = new ArrayList<>();
            try (Bar bar = Bar.start("collect", !common.json)) {
                found = Collector.collect(job, bar, messages::add);
                if (counted != null) {
                    count(counted.path(), workers, bar);
                }
            } finally {
                messages.forEach(common::tell);
            }
            show(found, (System.nanoTime() - begun) / 1e9);
        }
        return 0;
    }

    private OutputFile claimCounts(List<Path> read) {
        read.add(output);
        return countsOutput == null ? null : OutputFile.claim(countsOutput, read, force);
    }

    private void count(Path file, int workers, Progress progress) {
        try (TextFiles files = TextFiles.open(texts, InputStream.nullInputStream());
                Tokenizer vocabularyOfTexts = Tokenizer.open(tokenizer)) {
            TokenCounts.of(vocabularyOfTexts, files, workers, progress).write(file, vocabularyOfTexts);
        }
    }

    private void show(Collected found, double seconds) throws Exception {
        boolean metric = found.kind() == Collected.Kind.METRIC;
        if (metric) {
            common.print(Texts.format(
                    "%s: the metric [%d, %d] of %s, how much its errors matter to the embeddings of texts",
                    output, found.columns(), found.columns(), found.tensor()));
        } else {
            common.print(Texts.format(
                    "%s: %d hidden states of %d numbers (%s, %s), what meets %s, with %s",
                    output,
                    found.states(),
                    found.columns(),
                    found.type(),
                    Figures.bytes(Files.size(output)),
                    found.tensor(),
                    found.kind() == Collected.Kind.NEXT_TOKENS
                            ? "next tokens as targets"
                            : "masked tokens as targets"));
        }
        common.print(Texts.format(
                "%d sequences of %d tokens, of %d in the text%s; %.1f s",
                found.sequences(),
                found.length(),
                found.tokens(),
                metric ? "" : Texts.format("; cross-entropy %.2f on a sample", found.crossEntropy()),
                seconds));
        if (found.resumed() > 0) {
            common.print(Texts.format("%d sequences had been done by an interrupted run", found.resumed()));
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("model", model.toString());
        document.put("output", output.toString());
        document.put("bytes", Files.size(output));
        document.put("tensor", found.tensor());
        document.put("states", found.states());
        document.put("columns", found.columns());
        document.put("type", found.type());
        document.put("kind", found.kind().name().toLowerCase(Locale.ROOT));
        document.put("sequences", found.sequences());
        document.put("length", found.length());
        document.put("tokens", found.tokens());
        document.put("crossEntropy", found.crossEntropy());
        document.put("resumed", found.resumed());
        document.put("seconds", seconds);
        common.printJson(document);
    }
}
