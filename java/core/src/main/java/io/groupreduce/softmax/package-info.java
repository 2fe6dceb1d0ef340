/** Options, queries and results of the fused softmax; {@link io.groupreduce.SoftmaxHead} is where they are used. */
package io.groupreduce.softmax;
