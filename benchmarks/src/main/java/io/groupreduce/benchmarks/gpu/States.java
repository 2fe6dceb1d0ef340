package io.groupreduce.benchmarks.gpu;

import java.util.SplittableRandom;

/** Hidden states for heads whose numbers do not matter. */
final class States {
    private States() {}

    /** {@code count} x {@code columns} numbers between -1 and 1, always the same. */
    static float[] random(int count, int columns) {
        SplittableRandom random = new SplittableRandom(7);
        float[] hidden = new float[count * columns];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) (random.nextDouble() * 2 - 1);
        }
        return hidden;
    }
}
