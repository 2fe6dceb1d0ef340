/** Rounding of rows to block formats of other software, under what meets the matrix. */
package io.groupreduce.models.rounding;
