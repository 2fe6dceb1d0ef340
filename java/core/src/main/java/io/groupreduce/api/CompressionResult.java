package io.groupreduce.api;

import io.groupreduce.matrix.CompressedMatrix;
import java.util.List;

/**
 * A compressed matrix and how it came about.
 *
 * @param matrix what replaces the source; its memory is that of the arena it was made in
 * @param summary how it came about
 */
public record CompressionResult(CompressedMatrix matrix, CompressionSummary summary) {
    /**
     * The same with trained factors.
     *
     * @param loss of the trained ones, under the same weights and metric
     * @param heldOutLosses mean KL before calibration and after each epoch
     */
    public CompressionResult calibrated(CompressedMatrix trained, double loss, List<Double> heldOutLosses) {
        return new CompressionResult(trained, summary.calibrated(trained.bytes(), loss, heldOutLosses));
    }
}
