package io.groupreduce.spi;

import io.groupreduce.api.Pruning;
import io.groupreduce.matrix.CompressedMatrix;

/**
 * A compressed matrix to answer queries from.
 *
 * @param matrix A^, N x D
 * @param bias added to the logits, length N, or {@code null} for none
 * @param pruning whether bounds are kept to leave work out
 * @param logSumExpTolerance the most that leaving work out may change a log-sum-exp, in nats; 0 for nothing
 */
public record InferenceProblem(CompressedMatrix matrix, float[] bias, Pruning pruning, double logSumExpTolerance) {}
