package io.groupreduce.spi;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;

/**
 * A compressed softmax to be trained towards the dense one.
 *
 * @param dense A, N x D
 * @param bias added to the logits of both, length N; {@code null} for none
 * @param start the stored factors to begin with; not changed
 * @param trainBias whether the compressed softmax gets a bias of its own, which starts as {@code bias}
 */
public record CalibrationProblem(Matrix dense, float[] bias, CompressedMatrix start, boolean trainBias) {}
