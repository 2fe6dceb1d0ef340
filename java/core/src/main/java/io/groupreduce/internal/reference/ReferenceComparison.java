package io.groupreduce.internal.reference;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;

/** Both softmax heads, one hidden state at a time, with all N logits in doubles. */
final class ReferenceComparison {
    private ReferenceComparison() {}

    static TokenScores run(SoftmaxComparison task) {
        Matrix hidden = task.hidden();
        int count = hidden.rows();
        int top = task.topK();
        boolean targeted = task.targets() != null;
        TokenScores scores = new TokenScores(
                new double[count],
                new double[count],
                new double[count],
                targeted ? new float[count] : null,
                targeted ? new float[count] : null,
                new int[count * top],
                new int[count * top]);

        int rows = task.dense().rows();
        int columns = task.dense().columns();
        float[] h = new float[columns];
        float[] a = new float[columns];
        float[] b = new float[columns];
        double[] dense = new double[rows];
        double[] compressed = new double[rows];
        for (int t = 0; t < count; t++) {
            hidden.readRow(t, h, 0);
            for (int i = 0; i < rows; i++) {
                task.dense().readRow(i, a, 0);
                task.compressed().decodeRows(i, 1, b, 0);
                dense[i] = dot(a, h) + bias(task.denseBias(), i);
                compressed[i] = dot(b, h) + bias(task.compressedBias(), i);
            }
            scores.denseLogSumExp()[t] = logSumExp(dense);
            scores.compressedLogSumExp()[t] = logSumExp(compressed);
            double gap = 0;
            for (int i = 0; i < rows; i++) {
                gap += Math.exp(dense[i] - scores.denseLogSumExp()[t]) * (dense[i] - compressed[i]);
            }
            scores.expectedGap()[t] = gap;
            if (targeted) {
                scores.denseTargetLogit()[t] = (float) dense[task.targets()[t]];
                scores.compressedTargetLogit()[t] = (float) compressed[task.targets()[t]];
            }
            largest(dense, top, scores.denseTop(), t * top);
            largest(compressed, top, scores.compressedTop(), t * top);
        }
        return scores;
    }

    private static double dot(float[] a, float[] h) {
        double sum = 0;
        for (int j = 0; j < h.length; j++) {
            sum += (double) a[j] * h[j];
        }
        return sum;
    }

    private static double bias(float[] bias, int i) {
        return bias == null ? 0 : bias[i];
    }

    private static double logSumExp(double[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (double z : logits) {
            max = Math.max(max, z);
        }
        double sum = 0;
        for (double z : logits) {
            sum += Math.exp(z - max);
        }
        return max + Math.log(sum);
    }

    /** The {@code k} largest, best first, ties to the lower index. */
    private static void largest(double[] logits, int k, int[] target, int offset) {
        for (int place = 0; place < k; place++) {
            int best = -1;
            for (int i = 0; i < logits.length; i++) {
                if ((best < 0 || logits[i] > logits[best]) && !contains(target, offset, place, i)) {
                    best = i;
                }
            }
            target[offset + place] = best;
        }
    }

    private static boolean contains(int[] values, int offset, int count, int wanted) {
        for (int p = 0; p < count; p++) {
            if (values[offset + p] == wanted) {
                return true;
            }
        }
        return false;
    }
}
