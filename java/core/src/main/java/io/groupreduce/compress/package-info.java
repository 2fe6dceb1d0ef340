/**
 * The steps of a compression, one class a step, in order: {@link io.groupreduce.compress.Weights}, {@link
 * io.groupreduce.compress.Metric}, {@link io.groupreduce.compress.EqualMassGroups}, {@link
 * io.groupreduce.compress.RankAllocation}, {@link io.groupreduce.compress.Refinement}, {@link
 * io.groupreduce.compress.Factorization}; {@link io.groupreduce.compress.Compression} runs them.
 */
package io.groupreduce.compress;
