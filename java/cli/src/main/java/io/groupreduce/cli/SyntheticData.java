package io.groupreduce.cli;

import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;

/** What is measured where no file is given: seeded, and of a shape that the real thing has. */
final class SyntheticData {
    private static final long CACHE_LINE = 64;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private SyntheticData() {}

    /**
     * A matrix whose singular values fall as {@code j^-1/2}: normal coordinates on falling scales, turned by a reflection, so that no
     * direction is an axis; in memory that {@code arena} frees.
     */
    static Matrix matrix(Arena arena, long seed, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed);
        double[] mirror = random.doubles(columns, -1, 1).toArray();
        double squares = Arrays.stream(mirror).map(v -> v * v).sum();
        long rowBytes = (long) columns * Float.BYTES;
        MemorySegment data = arena.allocate(rows * rowBytes, CACHE_LINE);
        double[] row = new double[columns];
        float[] values = new float[columns];
        for (int i = 0; i < rows; i++) {
            double dot = 0;
            for (int j = 0; j < columns; j++) {
                row[j] = random.nextGaussian() / Math.sqrt(j + 1);
                dot += row[j] * mirror[j];
            }
            for (int j = 0; j < columns; j++) {
                values[j] = (float) (row[j] - 2 * dot / squares * mirror[j]);
            }
            MemorySegment.copy(values, 0, data, F32, i * rowBytes, columns);
        }
        return Matrix.of("synthetic matrix", DType.F32, rows, columns, data);
    }

    /** Zipf's counts, some 100 a token in the mean, in an order in which frequent and rare tokens are mixed. */
    static long[] zipfCounts(long seed, int rows) {
        SplittableRandom random = new SplittableRandom(seed);
        double harmonic = Math.log(rows) + 0.5772;
        long[] counts = new long[rows];
        for (int r = 0; r < rows; r++) {
            // A shuffle from the inside out: the count at a random place makes room for the next one.
            int place = random.nextInt(r + 1);
            counts[r] = counts[place];
            counts[place] = (long) (100.0 * rows / ((r + 1) * harmonic));
        }
        return counts;
    }
}
