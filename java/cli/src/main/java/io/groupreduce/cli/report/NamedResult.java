package io.groupreduce.cli.report;

import io.groupreduce.api.CompressionSummary;
import io.groupreduce.matrix.CompressedMatrix;
import java.util.Objects;

/**
 * A compressed tensor.
 *
 * @param matrix as it stands in the file, under the name it has there
 * @param result how it came about
 */
public record NamedResult(CompressedMatrix matrix, CompressionSummary result) {
    public NamedResult {
        Objects.requireNonNull(matrix, "matrix");
        Objects.requireNonNull(result, "result");
    }

    /** The name in the file. */
    public String tensor() {
        return matrix.name();
    }
}
