package io.groupreduce.vector.compress;

/**
 * Leading eigenpairs.
 *
 * @param values descending, none negative
 * @param vectors row j is the unit eigenvector of {@code values[j]}
 */
record Eigenpairs(double[] values, float[] vectors) {}
