package io.groupreduce.api;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A model file to compress.
 *
 * @param input a safetensors file, a model directory or a NumPy file
 * @param output the safetensors file to write
 * @param tensors which matrices; empty takes the embedding and output matrices found by name
 * @param counts how often each token occurs, one a line or after a tab; {@code null} counts all alike
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
        Path counts,
        Map<String, Path> metrics,
        Path hidden,
        CompressionOptions options,
        boolean only,
        boolean overwrite) {
    /** The embedding and output matrices of a model with the default options, all counts alike. */
    public static CompressionJob of(Path input, Path output) {
        return new CompressionJob(
                input, output, List.of(), null, Map.of(), null, CompressionOptions.defaults(), false, false);
    }

    public CompressionJob withCounts(Path value) {
        return new CompressionJob(input, output, tensors, value, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withHidden(Path value) {
        return new CompressionJob(input, output, tensors, counts, metrics, value, options, only, overwrite);
    }

    public CompressionJob withOptions(CompressionOptions value) {
        return new CompressionJob(input, output, tensors, counts, metrics, hidden, value, only, overwrite);
    }

    public CompressionJob withTensors(List<String> value) {
        return new CompressionJob(input, output, value, counts, metrics, hidden, options, only, overwrite);
    }

    public CompressionJob withOverwrite(boolean value) {
        return new CompressionJob(input, output, tensors, counts, metrics, hidden, options, only, value);
    }
}
