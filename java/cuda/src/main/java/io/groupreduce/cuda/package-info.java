/** Compression and softmax queries on an NVIDIA GPU, behind the backend seam. */
package io.groupreduce.cuda;
