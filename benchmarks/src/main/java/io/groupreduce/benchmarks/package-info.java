/**
 * Measurements: JMH benchmarks of the steps, side-by-side runs against peers in the same process, and what compression costs a
 * model's quality.
 */
package io.groupreduce.benchmarks;
