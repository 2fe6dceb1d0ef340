package io.groupreduce.cuda.blas;

/**
 * The matrices of a batch, column-major, at equal distances.
 *
 * @param address of the first one, on the device
 * @param leading the leading dimension: numbers from a column to the next
 * @param stride numbers from a matrix to the next; 0 for the same one each time
 */
public record Strided(long address, int leading, long stride) {}
