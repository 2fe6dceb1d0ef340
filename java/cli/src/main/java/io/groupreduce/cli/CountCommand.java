package io.groupreduce.cli;

import io.groupreduce.format.OutputFile;
import io.groupreduce.models.text.TextFiles;
import io.groupreduce.models.text.TokenCounts;
import io.groupreduce.models.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Counts the tokens of texts. */
@Command(name = "count", description = "Counts how often each token of a vocabulary occurs in texts, for --counts.")
final class CountCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Parameters(
            paramLabel = "TEXT",
            arity = "1..*",
            description = "Text files in UTF-8, plain or gzip; - for standard input.")
    List<Path> texts;

    @Option(
            names = "--tokenizer",
            required = true,
            paramLabel = "tokenizer.json",
            description = "The model's tokenizer, as it lies beside the model.")
    Path vocabulary;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "counts.tsv",
            description = "The file to write: token<TAB>count, in vocabulary order.")
    Path output;

    @Option(names = "--threads", paramLabel = "T", description = "Worker threads (default: one a processor).")
    Integer threads;

    @Option(names = "--force", description = "Replace an existing output file.")
    boolean force;

    @Override
    public Integer call() {
        int workers = DeviceOptions.threadCount(threads);
        List<Path> read = new ArrayList<>(texts);
        read.removeIf(TextFiles.STANDARD_INPUT::equals);
        read.add(vocabulary);
        long begun = System.nanoTime();
        try (OutputFile claimed = OutputFile.claim(output, read, force);
                TextFiles files = TextFiles.open(texts, System.in);
                Tokenizer tokenizer = Tokenizer.open(vocabulary)) {
            TokenCounts counts;
            try (Bar bar = Bar.start("count", !common.json)) {
                counts = TokenCounts.of(tokenizer, files, workers, bar);
            }
            counts.write(claimed.path(), tokenizer);
            double seconds = (System.nanoTime() - begun) / 1e9;
            show(counts, tokenizer.size(), files.bytesRead(), seconds);
        }
        return 0;
    }

    private void show(TokenCounts counts, int size, long bytes, double seconds) {
        String unit = counts.areLinesTexts() ? "line" : "file";
        common.print(Texts.format(
                "%s: %d tokens in %d %ss of text, %d of %d distinct, %d never seen, in %.1f s",
                output,
                counts.tokens(),
                counts.texts(),
                unit,
                counts.distinct(),
                size,
                size - counts.distinct(),
                seconds));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("tokenizer", vocabulary.toString());
        document.put("output", output.toString());
        document.put("bytesRead", bytes);
        document.put("textUnit", unit);
        document.put("texts", counts.texts());
        document.put("vocabulary", size);
        document.put("tokens", counts.tokens());
        document.put("distinct", counts.distinct());
        document.put("neverSeen", size - counts.distinct());
        document.put("seconds", seconds);
        common.printJson(document);
    }
}
