package io.groupreduce.api;

import io.groupreduce.matrix.CompressedMatrix;

/**
 * A compressed matrix and how it came about.
 *
 * @param matrix what replaces the source; its memory is that of the arena it was made in
 * @param summary how it came about
 */
public record CompressionResult(CompressedMatrix matrix, CompressionSummary summary) {}
