package io.groupreduce.spi;

import io.groupreduce.api.Pruning;
import io.groupreduce.matrix.CompressedMatrix;

/**
 * A compressed matrix to answer queries from.
 *
 * @param matrix A^, N x D
 * @param bias added to the logits, length N, or {@code null} for none
 * @param cap c, what {@code c tanh(y / c)} holds the logits below after the bias; 0 for none
 * @param pruning whether bounds are kept to leave work out
 */
public record InferenceProblem(CompressedMatrix matrix, float[] bias, double cap, Pruning pruning) {}
