package io.groupreduce.models.export;

import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;

/** How far logits that a graph gives are from those of a compressed matrix, or of another graph. */
final class HeadCheck {
    /** Rows that one task multiplies. */
    private static final int TILE = 256;

    private HeadCheck() {}

    /**
     * The logits {@code factor A^ h + bias} of a compressed matrix.
     *
     * @param states count x D
     * @param bias length N; {@code null} for none
     * @return count x N
     */
    static float[] logits(CompressedMatrix matrix, double factor, float[] bias, float[] states, Parallel threads) {
        int rows = matrix.rows();
        int columns = matrix.columns();
        int count = states.length / columns;
        float[] logits = new float[Math.multiplyExact(count, rows)];
        threads.forEach(Math.ceilDiv(rows, TILE), tile -> {
            int first = tile * TILE;
            int here = Math.min(TILE, rows - first);
            float[] some = new float[here * columns];
            matrix.decodeRows(first, here, some, 0);
            for (int i = 0; i < here; i++) {
                for (int t = 0; t < count; t++) {
                    double sum = 0;
                    for (int j = 0; j < columns; j++) {
                        sum += (double) some[i * columns + j] * states[t * columns + j];
                    }
                    double shift = bias == null ? 0 : bias[first + i];
                    logits[t * rows + first + i] = (float) (factor * sum + shift);
                }
            }
        });
        return logits;
    }

    /**
     * The norm of the differences, as a share of that of the logits, without their mean over tokens and without what {@code bias} gives to both.
     *
     * @param shift compares each token with the logits of the token so many places before it
     */
    static double error(float[] own, float[] other, float[] bias, int rows, int shift) {
        double apart = 0;
        double norm = 0;
        for (int from = 0; from < own.length; from += rows) {
            double sum = 0;
            double squares = 0;
            double gaps = 0;
            double gapSquares = 0;
            for (int i = 0; i < rows; i++) {
                int k = Math.floorMod(i - shift, rows);
                double value = own[from + i] - (bias == null ? 0 : bias[i]);
                double gap = value - other[from + k] + (bias == null ? 0 : bias[k]);
                sum += value;
                squares += value * value;
                gaps += gap;
                gapSquares += gap * gap;
            }
            norm += squares - sum * sum / rows;
            apart += gapSquares - gaps * gaps / rows;
        }
        return apart <= 0 ? 0 : Math.sqrt(apart / norm);
    }

    /** The mean of KL(softmax(own) || softmax(other)) over states, in nats. */
    static double divergence(float[] own, float[] other, int rows) {
        double sum = 0;
        for (int from = 0; from < own.length; from += rows) {
            double own0 = logSum(own, from, rows);
            double other0 = logSum(other, from, rows);
            double divergence = 0;
            for (int i = from; i < from + rows; i++) {
                double log = own[i] - own0;
                divergence += Math.exp(log) * (log - other[i] + other0);
            }
            sum += Math.max(0, divergence);
        }
        return sum / (own.length / rows);
    }

    /** Of how many states the most likely token is the same, as a share. */
    static double agreement(float[] own, float[] other, int rows) {
        int same = 0;
        for (int from = 0; from < own.length; from += rows) {
            same += largest(own, from, rows) == largest(other, from, rows) ? 1 : 0;
        }
        return (double) same / (own.length / rows);
    }

    private static int largest(float[] values, int from, int count) {
        int best = from;
        for (int i = from; i < from + count; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }

    private static double logSum(float[] values, int from, int count) {
        double largest = values[largest(values, from, count)];
        double sum = 0;
        for (int i = from; i < from + count; i++) {
            sum += Math.exp(values[i] - largest);
        }
        return largest + Math.log(sum);
    }
}
