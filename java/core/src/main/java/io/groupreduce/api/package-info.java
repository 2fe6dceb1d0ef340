/**
 * What is handed to {@link io.groupreduce.GroupReduce}, {@link io.groupreduce.SoftmaxHead} and {@link io.groupreduce.EmbeddingTable} and
 * what comes back: requests, options, results. Values without work in them.
 */
package io.groupreduce.api;
