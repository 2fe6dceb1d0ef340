/**
 * The fused softmax side by side with what people use now: OpenBLAS, ONNX Runtime, and dense heads in our own kernels. {@link
 * io.groupreduce.benchmarks.head.HeadComparison} is where to start.
 */
package io.groupreduce.benchmarks.head;
