/** Compressed matrices in models of other software. */
package io.groupreduce.models.export;
