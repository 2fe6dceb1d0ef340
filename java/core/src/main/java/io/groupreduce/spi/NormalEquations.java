package io.groupreduce.spi;

/**
 * The least-squares problem of one basis given its rows' stored left factors: {@code gram * right = cross}. The metric drops
 * out of it.
 *
 * @param rank k
 * @param gram k x k row-major, {@code sum_i w_i L_i^T L_i}; the coordinates a row does not keep are 0
 * @param cross k x D row-major, {@code sum_i w_i L_i^T A_i}
 */
public record NormalEquations(int rank, double[] gram, double[] cross) {}
