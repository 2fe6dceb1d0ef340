/**
 * One exception type a cause. Every message says what is wrong, where, and what to do. The only package that everything may depend
 * on, and that depends on nothing.
 */
package io.groupreduce.error;
