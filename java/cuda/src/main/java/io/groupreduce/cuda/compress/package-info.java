/**
 * The compression workspace on an NVIDIA GPU: rows, Gram matrices, bases and factors stay on the card between steps.
 */
package io.groupreduce.cuda.compress;
