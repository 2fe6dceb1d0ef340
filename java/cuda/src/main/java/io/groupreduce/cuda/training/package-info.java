/**
 * Calibration of a compressed softmax, and its comparison with the dense one, on an NVIDIA GPU: tile by tile of the
 * vocabulary.
 */
package io.groupreduce.cuda.training;
