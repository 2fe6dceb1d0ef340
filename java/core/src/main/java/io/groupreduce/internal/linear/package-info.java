/** The small dense algebra of a compression, D x D and in double precision, and the threads it runs on. */
package io.groupreduce.internal.linear;
