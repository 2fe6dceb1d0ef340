package io.groupreduce.testkit;

import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Seeded data that looks like the real thing, for tests and benchmarks: a spectrum that falls as a power law, counts that
 * follow Zipf. Rows come in order and may be asked for in tiles of any size.
 */
public final class SyntheticMatrix {
    /** Enough mirrors that no axis is special, few enough that a row stays cheap. */
    private static final int MIRRORS = 3;

    private static final int CACHE_LINE = 64;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int columns;
    private final SplittableRandom random;
    private final double[] scale;
    private final double[][] mirrors;
    private final double[] row;

    /**
     * A generator whose singular values fall like {@code j^-decay}: standard normal coordinates times a falling scale, turned
     * by Householder reflections.
     */
    public SyntheticMatrix(long seed, int columns, double decay) {
        this.columns = columns;
        this.random = new SplittableRandom(seed);
        this.scale = new double[columns];
        this.mirrors = new double[MIRRORS][columns];
        this.row = new double[columns];
        Arrays.setAll(scale, j -> Math.pow(j + 1, -decay));
        for (double[] mirror : mirrors) {
            Arrays.setAll(mirror, j -> random.nextGaussian());
            double norm = Math.sqrt(Arrays.stream(mirror).map(v -> v * v).sum());
            Arrays.setAll(mirror, j -> mirror[j] / norm);
        }
    }

    /** The next {@code count} rows, row-major, into {@code target} from its beginning on. */
    public void next(float[] target, int count) {
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < columns; j++) {
                row[j] = random.nextGaussian() * scale[j];
            }
            for (double[] mirror : mirrors) {
                reflect(mirror);
            }
            for (int j = 0; j < columns; j++) {
                target[i * columns + j] = (float) row[j];
            }
        }
    }

    /** The next {@code rows} rows as a matrix outside the heap, in memory that {@code arena} frees. */
    public Matrix offHeap(Arena arena, int rows) {
        long rowBytes = (long) columns * Float.BYTES;
        MemorySegment data = arena.allocate(rows * rowBytes, CACHE_LINE);
        float[] values = new float[columns];
        for (int i = 0; i < rows; i++) {
            next(values, 1);
            MemorySegment.copy(values, 0, data, F32, i * rowBytes, columns);
        }
        return Matrix.of("synthetic matrix", DType.F32, rows, columns, data);
    }

    private void reflect(double[] mirror) {
        double dot = 0;
        for (int j = 0; j < columns; j++) {
            dot += row[j] * mirror[j];
        }
        for (int j = 0; j < columns; j++) {
            row[j] -= 2 * dot * mirror[j];
        }
    }

    /** Counts {@code floor(total / (rank H))} of a shuffled vocabulary: many tokens have few, some none. */
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
