/**
 * Answers queries about a compressed matrix on the card. {@link io.groupreduce.cuda.inference.CudaInference} is the session; {@code
 * HeadLayout} says where everything lies, {@code CudaPackedHead} brings it there, {@code CudaHeadPass} asks about a batch in {@code
 * Round}s, {@code CudaSweep} queues their kernels.
 *
 * <p>All of it runs on the one thread of its device, so nothing here locks. Work memory grows to what the largest query took, within a
 * budget; a query that needs no more than an earlier one allocates nothing on the card.
 */
package io.groupreduce.cuda.inference;
