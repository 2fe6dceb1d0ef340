/**
 * The public API. {@link io.groupreduce.GroupReduce} compresses a matrix or a model file; {@link
 * io.groupreduce.CompressedMatrix} is the result; {@link io.groupreduce.Evaluation} says what it cost.
 */
package io.groupreduce;
