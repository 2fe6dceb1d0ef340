package io.groupreduce.api;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A model file to compress.
 *
 * @param input a safetensors file, a model directory, a NumPy file, or, where tensors are named, a compressed file: what is compressed
 *     there already stays as it is
 * @param output the safetensors file to write
 * @param tensors which matrices; empty takes the embedding and output matrices that are found
 * @param vocabulary what is said of the vocabulary matrices in place of what is found
 * @param counts how often each token occurs, one a line or after a tab, for all matrices that {@code countsOf} does not name;
 *     {@code null} counts all alike, {@link #ZIPF} guesses them
 * @param countsOf per tensor, a file like {@code counts}
 * @param metrics per tensor, a safetensors file with {@code metric} [D, D]
 * @param hidden a safetensors file with {@code hidden} [T, D] and maybe {@code targets} [T] that meet the output matrix;
 *     {@code null} for none
 * @param options what to do to each matrix; a size in bytes is shared out in proportion to the sources' bytes
 * @param only leave out everything that is not compressed
 * @param overwrite replace an existing output
 */
public record CompressionJob(
        Path input,
        Path output,
        List<String> tensors,
        VocabularyChoice vocabulary,
        Path counts,
        Map<String, Path> countsOf,
        Map<String, Path> metrics,
        Path hidden,
        CompressionOptions options,
        boolean only,
        boolean overwrite) {
    /**
     * In place of a file of counts: row i counts as 1 / (i + 1), which is Zipf's law for a vocabulary in order of frequency, and nearly so for one
     * in order of first appearance. A file of that name is {@code ./zipf}.
     */
    public static final Path ZIPF = Path.of("zipf");

    /** The embedding and output matrices of a model with the default options, all counts alike. */
    public static CompressionJob of(Path input, Path output) {
        return new CompressionJob(
                input,
                output,
                List.of(),
                VocabularyChoice.NONE,
                null,
                Map.of(),
                Map.of(),
                null,
                CompressionOptions.defaults(),
                false,
                false);
    }

    /** The file of the counts of a tensor; {@code null} if there is none. */
    public Path countsOf(String tensor) {
        return countsOf.getOrDefault(tensor, counts);
    }

    public CompressionJob withCounts(Path value) {
        return new CompressionJob(
                input, output, tensors, vocabulary, value, countsOf, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withCountsOf(Map<String, Path> value) {
        return new CompressionJob(
                input, output, tensors, vocabulary, counts, value, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withHidden(Path value) {
        return new CompressionJob(
                input, output, tensors, vocabulary, counts, countsOf, metrics, value, options, only, overwrite);
    }

    public CompressionJob withOptions(CompressionOptions value) {
        return new CompressionJob(
                input, output, tensors, vocabulary, counts, countsOf, metrics, hidden, value, only, overwrite);
    }

    public CompressionJob withTensors(List<String> value) {
        return new CompressionJob(
                input, output, value, vocabulary, counts, countsOf, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withVocabulary(VocabularyChoice value) {
        return new CompressionJob(
                input, output, tensors, value, counts, countsOf, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withOverwrite(boolean value) {
        return new CompressionJob(
                input, output, tensors, vocabulary, counts, countsOf, metrics, hidden, options, only, value);
    }
}
