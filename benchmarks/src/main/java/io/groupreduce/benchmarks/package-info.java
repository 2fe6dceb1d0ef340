/** Measurements: JMH benchmarks of the steps, and side-by-side runs against peers in the same process. */
package io.groupreduce.benchmarks;
