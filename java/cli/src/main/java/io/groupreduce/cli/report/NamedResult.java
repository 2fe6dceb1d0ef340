package io.groupreduce.cli.report;

import io.groupreduce.api.CompressionResult;
import java.util.Objects;

/**
 * A compressed tensor under the name it has in the file.
 *
 * @param tensor the name in the safetensors file; {@code result.matrix().name()} may carry the file's name too
 * @param result the compression; the memory of its factors may be gone, only sizes are read
 */
public record NamedResult(String tensor, CompressionResult result) {
    public NamedResult {
        Objects.requireNonNull(tensor, "tensor");
        Objects.requireNonNull(result, "result");
    }
}
