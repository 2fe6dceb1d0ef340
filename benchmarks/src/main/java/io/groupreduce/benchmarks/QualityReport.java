package io.groupreduce.benchmarks;

import io.groupreduce.api.Backend;
import io.groupreduce.api.Evaluation;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.Locale;

/** A Markdown report: printed line by line while it grows, and written to a file if wanted. */
final class QualityReport {
    private final StringBuilder text = new StringBuilder();

    /** Adds a line. */
    void line(String line) {
        System.out.println(line);
        text.append(line).append('\n');
    }

    /** Adds a paragraph. */
    void paragraph(String paragraph) {
        line(paragraph);
        line("");
    }

    /** Title, date, machine, commit, model, and what quality is measured against. */
    void header(String title, QualityModel model, Backend backend, Evaluation dense) {
        paragraph("# " + title);
        paragraph(String.format(
                Locale.ROOT,
                "%s; %d cores, %s; Java %s; commit %s.",
                LocalDate.now(),
                Runtime.getRuntime().availableProcessors(),
                backend.description(),
                Runtime.version().feature() + "." + Runtime.version().interim() + "."
                        + Runtime.version().update(),
                System.getProperty("groupreduce.commit", "unknown")));
        paragraph(String.format(
                Locale.ROOT,
                "The softmax matrix is %,d x %,d %s, %,d bytes. What learns from hidden states is fitted on the first %,d of"
                        + " them and everything is judged on %,d others: the dense perplexity there is %.2f.",
                model.dense().rows(),
                model.dense().columns(),
                model.dense().type(),
                model.dense().bytes(),
                model.known().hidden().rows(),
                dense.tokens(),
                dense.densePerplexity()));
    }

    /** A number without needless zeros. */
    static String number(double value) {
        return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
    }

    /** Writes what was said so far. */
    void write(Path file) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        Files.writeString(file, text);
    }
}
