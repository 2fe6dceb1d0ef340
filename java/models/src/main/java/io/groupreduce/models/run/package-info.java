/** Runs ONNX models over text. */
package io.groupreduce.models.run;
