package io.groupreduce.cli;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.models.sentence.Pooling;
import io.groupreduce.models.sentence.SentenceComparison;
import io.groupreduce.models.sentence.SentencePairs;
import io.groupreduce.models.sentence.SentenceScores;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import picocli.CommandLine.Option;

/** How a model that makes vectors of sentences is judged. */
final class SentenceOptions {
    @Option(
            names = "--tokenizer",
            paramLabel = "FILE",
            description = "The tokenizer.json of a model that makes vectors of sentences.")
    Path tokenizer;

    @Option(
            names = "--sentences",
            paramLabel = "FILE",
            description = "Text with a sentence a line: how close the vectors stay is measured on it.")
    Path sentences;

    @Option(
            names = "--pairs",
            paramLabel = "FILE",
            description =
                    "Comma- or tab-separated values, pairs of sentences with a score: Spearman's correlation before and"
                            + " after.")
    Path pairs;

    @Option(
            names = "--columns",
            paramLabel = "SCORE,ONE,TWO",
            split = ",",
            description =
                    "Which columns of --pairs hold the score and the sentences, by header or by number from 1 (default:"
                            + " told by header or content).")
    List<String> columns = List.of();

    @Option(
            names = "--pooling",
            paramLabel = "HOW",
            description = "mean, cls or last: which tokens' vectors make that of a sentence; none if the model gives it"
                    + " (default: told by the model's outputs).")
    Pooling pooling;

    /** Whether anything was said of sentences. */
    boolean given() {
        return tokenizer != null || sentences != null || pairs != null || pooling != null || !columns.isEmpty();
    }

    /** The files that are read. */
    List<Path> files() {
        return Stream.of(tokenizer, sentences, pairs).filter(Objects::nonNull).toList();
    }

    /** @throws InvalidOptionException if too little was said, or what does not go together */
    void require() {
        if (tokenizer == null) {
            throw new InvalidOptionException(
                    "Sentences need the model's tokenizer; name it with --tokenizer tokenizer.json.");
        }
        if (sentences == null && pairs == null) {
            throw new InvalidOptionException(
                    "There is nothing to judge on: give --sentences FILE, a sentence a line, or --pairs FILE, or both.");
        }
        if (!columns.isEmpty() && (pairs == null || columns.size() != 3)) {
            throw new InvalidOptionException(
                    "--columns names three columns of --pairs: the score and the two sentences, as in"
                            + " --columns score,sentence1,sentence2.");
        }
    }

    /** Runs both models. */
    SentenceScores run(Path reference, Path small, int threads, Progress progress, Consumer<String> tell) {
        List<String> lines = sentences == null ? List.of() : SentenceComparison.sentences(sentences);
        SentencePairs read = pairs == null ? null : SentencePairs.read(pairs, columns);
        return new SentenceComparison(reference, small, pooling, threads).run(tokenizer, lines, read, progress, tell);
    }
}
