package io.groupreduce.vector.training;

/**
 * One step of Adam (Kingma and Ba 2015) with steps relative to the size of what moves.
 *
 * <pre>m = 0.9 m + 0.1 g,   v = 0.99 v + 0.01 g^2,   x -= rate size m^ / (sqrt v^ + 1e-12)</pre>
 *
 * <p>m^ and v^ are m and v divided by 1 - 0.9^t and 1 - 0.99^t. Bytes: gradient read once, value, m and v read and written
 * once. The loops are plain: strict arithmetic that the compiler puts on vectors by itself.
 */
final class AdamStep {
    private static final float FIRST_DECAY = 0.9f;
    private static final float SECOND_DECAY = 0.99f;
    private static final float EPSILON = 1e-12f;

    private final double firstScale;
    private final float secondScale;

    /**
     * A step.
     *
     * @param rate the learning rate
     * @param number 1 for the first step
     */
    AdamStep(double rate, int number) {
        firstScale = rate / (1 - Math.pow(0.9, number));
        secondScale = (float) (1 / (1 - Math.pow(0.99, number)));
    }

    /**
     * Moves {@code count} numbers from {@code at} on.
     *
     * @param first m, at the same places
     * @param second v, at the same places
     * @param gradient g, from {@code from} on
     * @param size what a step is relative to
     */
    void apply(
            float[] values, float[] first, float[] second, int at, int count, float[] gradient, int from, float size) {
        float length = (float) (firstScale * size);
        for (int j = 0; j < count; j++) {
            float g = gradient[from + j];
            float m = FIRST_DECAY * first[at + j] + (1 - FIRST_DECAY) * g;
            float v = SECOND_DECAY * second[at + j] + (1 - SECOND_DECAY) * g * g;
            first[at + j] = m;
            second[at + j] = v;
            values[at + j] -= length * m / ((float) Math.sqrt(v * secondScale) + EPSILON);
        }
    }

    /** The root mean square of {@code values[at .. at + count)}. */
    static float size(float[] values, int at, int count) {
        double squares = 0;
        for (int j = at; j < at + count; j++) {
            squares += (double) values[j] * values[j];
        }
        return (float) Math.sqrt(squares / Math.max(1, count));
    }
}
