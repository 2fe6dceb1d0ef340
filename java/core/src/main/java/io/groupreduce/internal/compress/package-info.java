/** Compression of one matrix: a method is one class, which says what rows may take and which of it they take. */
package io.groupreduce.internal.compress;
