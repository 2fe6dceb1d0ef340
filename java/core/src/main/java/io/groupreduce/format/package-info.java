/**
 * The files this software reads and writes: safetensors, model directories, NumPy matrices, token counts, hidden states.
 *
 * <p>Readers trust nothing: a file either fits its format, checked before the first number is used, or opening it fails
 * with one sentence. Large data stays in the mapped file. Writers never leave a half-written file under its final name.
 */
package io.groupreduce.format;
