/** The doors: {@link io.groupreduce.GroupReduce} compresses, {@link io.groupreduce.SoftmaxHead} and {@link io.groupreduce.EmbeddingTable} answer. */
package io.groupreduce;
