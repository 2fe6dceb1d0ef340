package io.groupreduce.cli.report;

import io.groupreduce.api.Evaluation;
import java.util.Objects;

/**
 * One line of a comparison of methods on the same matrix.
 *
 * @param method what the reader should call it
 * @param ratio source bytes / stored bytes
 * @param bytes stored bytes
 * @param coordinatesPerRow coordinates of a row, on average, which the time of a query follows
 * @param relativeError the count-weighted relative error of what is stored
 * @param evaluation its softmax against the dense one, or {@code null} when that was not measured
 */
public record MethodRow(
        String method,
        double ratio,
        long bytes,
        double coordinatesPerRow,
        double relativeError,
        Evaluation evaluation) {
    public MethodRow {
        Objects.requireNonNull(method, "method");
    }
}
