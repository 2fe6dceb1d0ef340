package io.groupreduce.testkit;

import io.groupreduce.matrix.Matrix;
import java.util.SplittableRandom;

/** Seeded inputs for tests. */
public final class Generators {
    private Generators() {}

    /** A matrix of {@link SyntheticMatrix}, row-major. */
    public static float[] powerLaw(long seed, int rows, int columns, double decay) {
        float[] values = new float[Math.multiplyExact(rows, columns)];
        new SyntheticMatrix(seed, columns, decay).next(values, rows);
        return values;
    }

    /** The matrix of {@link #powerLaw} under a name that tells the seed. */
    public static Matrix matrix(long seed, int rows, int columns, double decay) {
        return Matrix.of("seed " + seed, powerLaw(seed, rows, columns, decay), rows, columns);
    }

    /** Counts of {@link SyntheticMatrix#zipfCounts}. */
    public static long[] zipf(long seed, int rows, double total) {
        return SyntheticMatrix.zipfCounts(seed, rows, total);
    }

    /** Multiplies a few entries by {@code factor}, in place: what a kernel that rescales or sums badly trips over. */
    public static void plantOutliers(long seed, float[] values, int count, float factor) {
        SplittableRandom random = new SplittableRandom(seed);
        for (int k = 0; k < count; k++) {
            values[random.nextInt(values.length)] *= factor;
        }
    }

    /** A well-conditioned symmetric positive definite matrix, D x D row-major. */
    public static double[] moment(long seed, int columns) {
        float[] samples = powerLaw(seed, 4 * columns, columns, 0.4);
        double[] moment = new double[columns * columns];
        for (int t = 0; t < 4 * columns; t++) {
            for (int i = 0; i < columns; i++) {
                for (int j = 0; j < columns; j++) {
                    moment[i * columns + j] += (double) samples[t * columns + i] * samples[t * columns + j];
                }
            }
        }
        return moment;
    }
}
