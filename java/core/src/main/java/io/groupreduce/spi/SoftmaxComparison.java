package io.groupreduce.spi;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;

/**
 * Two softmax heads over the same hidden states.
 *
 * @param dense A, N x D
 * @param denseBias length N, or {@code null} for none
 * @param compressed what stands for A
 * @param compressedBias length N, or {@code null} for none
 * @param hidden T x D
 * @param targets the token that really followed each hidden state, length T, or {@code null} when unknown
 * @param topK how many leading tokens to list, at most N
 */
public record SoftmaxComparison(
        Matrix dense,
        float[] denseBias,
        CompressedMatrix compressed,
        float[] compressedBias,
        Matrix hidden,
        int[] targets,
        int topK) {}
