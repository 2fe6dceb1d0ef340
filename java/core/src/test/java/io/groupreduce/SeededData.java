package io.groupreduce;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Seeded matrices whose singular values fall as a power law, and counts that follow Zipf; the testkit, which stands on core, has its own. */
public final class SeededData {
    private SeededData() {}

    /** Standard normal coordinates times {@code j^-decay}, turned by Householder reflections; row-major. */
    public static float[] powerLaw(long seed, int rows, int columns, double decay) {
        SplittableRandom random = new SplittableRandom(seed);
        double[][] mirrors = new double[3][columns];
        for (double[] mirror : mirrors) {
            Arrays.setAll(mirror, j -> random.nextGaussian());
            double norm = Math.sqrt(Arrays.stream(mirror).map(v -> v * v).sum());
            Arrays.setAll(mirror, j -> mirror[j] / norm);
        }
        float[] values = new float[rows * columns];
        double[] row = new double[columns];
        for (int i = 0; i < rows; i++) {
            Arrays.setAll(row, j -> random.nextGaussian() * Math.pow(j + 1, -decay));
            for (double[] mirror : mirrors) {
                double dot = 0;
                for (int j = 0; j < columns; j++) {
                    dot += row[j] * mirror[j];
                }
                for (int j = 0; j < columns; j++) {
                    row[j] -= 2 * dot * mirror[j];
                }
            }
            for (int j = 0; j < columns; j++) {
                values[i * columns + j] = (float) row[j];
            }
        }
        return values;
    }

    /** Counts {@code floor(total / (rank H))} of a shuffled vocabulary. */
    public static long[] zipfCounts(long seed, int rows, double total) {
        double harmonic = 0;
        for (int r = 1; r <= rows; r++) {
            harmonic += 1.0 / r;
        }
        long[] counts = new long[rows];
        for (int r = 1; r <= rows; r++) {
            counts[r - 1] = (long) (total / (r * harmonic));
        }
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = rows - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            long swap = counts[i];
            counts[i] = counts[j];
            counts[j] = swap;
        }
        return counts;
    }
}
