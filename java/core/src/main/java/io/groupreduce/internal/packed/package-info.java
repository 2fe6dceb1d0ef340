/** Rows entropy-coded for storage: what a packed file holds instead of codes. */
package io.groupreduce.internal.packed;
