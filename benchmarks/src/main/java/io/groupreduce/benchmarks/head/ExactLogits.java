package io.groupreduce.benchmarks.head;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;

/** All logits of a batch in binary64, states x N: what the peers are checked against. */
final class ExactLogits {
    private static final int LEVELS = 255;

    private ExactLogits() {}

    static double[][] dense(Matrix dense, float[] bias, Batch batch, int turn) {
        float[] rows = new float[dense.rows() * dense.columns()];
        dense.readRows(0, dense.rows(), rows, 0);
        return product(rows, dense.rows(), dense.columns(), bias, batch, turn);
    }

    static double[][] compressed(CompressedMatrix matrix, float[] bias, Batch batch, int turn) {
        float[] rows = new float[matrix.rows() * matrix.columns()];
        matrix.decodeRows(0, matrix.rows(), rows, 0);
        return product(rows, matrix.rows(), matrix.columns(), bias, batch, turn);
    }

    private static double[][] product(float[] rows, int n, int columns, float[] bias, Batch batch, int turn) {
        float[] hidden = batch.hidden(turn);
        double[][] logits = new double[batch.size()][n];
        for (int s = 0; s < logits.length; s++) {
            for (int i = 0; i < n; i++) {
                double sum = bias == null ? 0 : bias[i];
                for (int j = 0; j < columns; j++) {
                    sum += (double) rows[i * columns + j] * hidden[s * columns + j];
                }
                logits[s][i] = sum;
            }
        }
        return logits;
    }

    /** The same with weights and hidden states as integers, rounded as the ONNX operators define it: one scale a batch. */
    static double[][] quantized(Matrix dense, float[] bias, Batch batch, int turn) {
        float[] hidden = batch.hidden(turn);
        float least = 0;
        float most = 0;
        for (float value : hidden) {
            least = Math.min(least, value);
            most = Math.max(most, value);
        }
        float scale = (most - least) / LEVELS;
        int zero = (int) Math.rint(-least / scale);
        float[] scales = OnnxFiles.scales(dense);
        int columns = dense.columns();
        float[] row = new float[columns];
        double[][] logits = new double[batch.size()][dense.rows()];
        for (int i = 0; i < dense.rows(); i++) {
            dense.readRow(i, row, 0);
            for (int s = 0; s < logits.length; s++) {
                long sum = 0;
                for (int j = 0; j < columns; j++) {
                    int level = (int) Math.rint(hidden[s * columns + j] / scale) + zero;
                    int clamped = Math.max(0, Math.min(LEVELS, level));
                    sum += (long) OnnxFiles.quantize(row[j], scales[i]) * (clamped - zero);
                }
                logits[s][i] = sum * (double) scale * scales[i] + (bias == null ? 0 : bias[i]);
            }
        }
        return logits;
    }
}
