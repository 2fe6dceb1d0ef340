package io.groupreduce.vector.training;

import io.groupreduce.matrix.Bf16;

/** A bias in training: its numbers, what Adam remembers of them, and what is stored of them, rounded to bfloat16. */
final class TrainedBias {
    /** What steps are relative to, in nats. */
    private static final float SIZE = 0.3f;

    private final float[] values;
    private final float[] first;
    private final float[] second;
    private final float[] rounded;

    /** Starts as {@code bias}, or as zeros when that is {@code null}. */
    TrainedBias(float[] bias, int rows) {
        values = bias == null ? new float[rows] : bias.clone();
        first = new float[rows];
        second = new float[rows];
        rounded = new float[rows];
        for (int i = 0; i < rows; i++) {
            rounded[i] = Bf16.widen(Bf16.round(values[i]));
        }
    }

    /** What is stored, which changes with every step. */
    float[] rounded() {
        return rounded;
    }

    /** Moves the number of one row; different rows may be moved by different threads. */
    void update(int row, float[] gradient, AdamStep step) {
        step.apply(values, first, second, row, 1, gradient, 0, SIZE);
        rounded[row] = Bf16.widen(Bf16.round(values[row]));
    }
}
