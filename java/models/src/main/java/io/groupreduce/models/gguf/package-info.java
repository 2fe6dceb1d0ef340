/** GGUF: files, the blocks of their quantised types, and what is put in them. */
package io.groupreduce.models.gguf;
