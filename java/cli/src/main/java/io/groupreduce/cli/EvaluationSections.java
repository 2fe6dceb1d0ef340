package io.groupreduce.cli;

import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.cli.report.Section;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.sentence.SentenceScores;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleFunction;

/** What pages and model cards show of an evaluation. */
final class EvaluationSections {
    private static final String CHANGE = "Change";
    private static final String INTERVAL = "95 % interval";

    private EvaluationSections() {}

    /** What the compressed matrices of a file take. */
    static Section matrices(CompressedFile file) {
        List<List<String>> rows = new ArrayList<>();
        for (CompressedMatrix matrix : file.matrices().values()) {
            Summary.Source source = Summary.Source.of(file.provenance(matrix.name()), matrix);
            rows.add(List.of(
                    matrix.name(),
                    Figures.count(matrix.rows()) + " × " + Figures.count(matrix.columns()),
                    source.dtype(),
                    source.method() + (matrix.packed() == null ? "" : ", packed"),
                    Figures.count(source.bytes()),
                    Figures.count(matrix.bytes()),
                    Figures.ratio((double) source.bytes() / matrix.bytes())));
        }
        return new Section(
                "What was compressed",
                List.of("Matrix", "Shape", "Type", "Method", "Bytes before", "Bytes after", "Times smaller"),
                rows,
                List.of("Bytes are those of a matrix before, and of all that replaces it."));
    }

    /** What whole models take. */
    static Section files(long before, long after) {
        return new Section(
                "What was compressed",
                List.of("", "Bytes before", "Bytes after", "Times smaller"),
                List.of(List.of(
                        "Model with all of its data",
                        Figures.count(before),
                        Figures.count(after),
                        Figures.ratio((double) before / after))),
                List.of());
    }

    /**
     * A softmax.
     *
     * @param hidden the file of hidden states
     * @param error a sentence on the error of the matrix
     */
    static Section softmax(Evaluation found, String tensor, Path hidden, String error) {
        List<List<String>> rows = new ArrayList<>();
        if (found.hasPerplexity()) {
            rows.add(List.of(
                    "Perplexity",
                    Figures.perplexity(found.densePerplexity()),
                    Figures.perplexity(found.compressedPerplexity()),
                    Figures.signedPercent(found.perplexityIncrease().mean()),
                    Figures.between(found.perplexityIncrease(), Figures::signedPercent)));
        }
        rows.add(compared("Mean KL(original || compressed), nats", found.kl(), Figures::nats));
        rows.add(compared("Most likely token the same", found.top1(), Figures::percent));
        rows.add(compared("Ten most likely tokens shared", found.top10(), Figures::percent));
        return new Section(
                "Language model",
                List.of("", "Original", "Compressed", CHANGE, INTERVAL),
                rows,
                List.of(
                        "The softmax of " + tensor + " over " + Figures.count(found.tokens())
                                + " positions, hidden states of the"
                                + " original model (" + hidden.getFileName() + ")"
                                + (found.hasPerplexity() ? "." : "; without targets there is no perplexity."),
                        "Intervals are those of batch means: they allow for neighbouring positions being alike.",
                        error));
    }

    private static List<String> compared(String name, Estimate value, DoubleFunction<String> figure) {
        return List.of(name, "", figure.apply(value.mean()), "", Figures.between(value, figure));
    }

    /** How close vectors stay; {@code file} has the sentences. */
    static Section sentences(SentenceScores found, Path file) {
        List<String> notes = new ArrayList<>();
        notes.add("Cosine between the vector of the original and that of the compressed model, on "
                + Figures.count(found.sentences()) + " different sentences (" + file.getFileName()
                + "), each run alone.");
        notes.add("Pooling: " + found.pooling() + ".");
        if (found.cut() > 0) {
            notes.add(Figures.count(found.cut()) + " sentences were cut to what the tokenizer leaves of a text.");
        }
        return new Section(
                "Sentence vectors",
                List.of("Mean cosine", "1st percentile", "Worst sentence"),
                List.of(List.of(cosine(found.meanCosine()), cosine(found.lowCosine()), cosine(found.worstCosine()))),
                notes);
    }

    /** How well vectors follow people; {@code file} has the pairs. */
    static Section pairs(SentenceScores.Ranks found, Path file) {
        return new Section(
                "Similarity of sentences",
                List.of("", "Original", "Compressed", CHANGE, INTERVAL),
                List.of(List.of(
                        "Spearman's correlation × 100",
                        points(found.before()),
                        points(found.after()),
                        signedPoints(found.difference().mean()),
                        Figures.between(found.difference(), EvaluationSections::signedPoints))),
                List.of("Cosines of " + Figures.count(found.pairs())
                        + " pairs against the scores that people gave them (" + file.getFileName()
                        + "). The interval of the change is that of the paired bootstrap over pairs."));
    }

    static String cosine(double value) {
        return Texts.format("%.5f", value);
    }

    static String points(double correlation) {
        return Texts.format("%.2f", 100 * correlation);
    }

    static String signedPoints(double correlation) {
        return Texts.format("%+.2f", 100 * correlation);
    }
}
