/** ONNX: files, graphs, and what is put in them. */
package io.groupreduce.models.onnx;
