/** Compression and softmax queries on an NVIDIA card, in turn with cuBLAS and, where it is installed, PyTorch on the same card. */
package io.groupreduce.benchmarks.gpu;
