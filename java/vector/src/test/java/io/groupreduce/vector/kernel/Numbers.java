package io.groupreduce.vector.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.SplittableRandom;

/** Seeded numbers and plain double loops to hold kernels against. */
public final class Numbers {
    private Numbers() {}

    public static float[] random(long seed, int length) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[length];
        for (int x = 0; x < length; x++) {
            values[x] = (float) random.nextDouble(-1, 1);
        }
        return values;
    }

    public static int[] ascending(int length) {
        int[] order = new int[length];
        for (int i = 0; i < length; i++) {
            order[i] = i;
        }
        return order;
    }

    /** {@code sum over rows of w_i a_i^T a_i}. */
    public static double[] gram(float[] a, float[] weights, int rows, int columns) {
        double[] gram = new double[columns * columns];
        for (int i = 0; i < rows; i++) {
            for (int r = 0; r < columns; r++) {
                double left = (double) weights[i] * a[i * columns + r];
                for (int c = 0; c < columns; c++) {
                    gram[r * columns + c] += left * a[i * columns + c];
                }
            }
        }
        return gram;
    }

    public static double trace(double[] square, int n) {
        double trace = 0;
        for (int j = 0; j < n; j++) {
            trace += square[j * n + j];
        }
        return trace;
    }

    /** Checks that the first {@code rank} rows of {@code vectors}, rows of {@code columns} numbers, are orthonormal to single precision. */
    public static void assertOrthonormal(float[] vectors, int rank, int columns, String what) {
        for (int a = 0; a < rank; a++) {
            for (int b = 0; b <= a; b++) {
                double dot = 0;
                for (int j = 0; j < columns; j++) {
                    dot += (double) vectors[a * columns + j] * vectors[b * columns + j];
                }
                assertEquals(a == b ? 1 : 0, dot, 5e-6, what + ", vectors " + a + " and " + b);
            }
        }
    }
}
