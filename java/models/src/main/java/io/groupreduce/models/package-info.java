/** Models of other software: read, written, and run over text. */
package io.groupreduce.models;
