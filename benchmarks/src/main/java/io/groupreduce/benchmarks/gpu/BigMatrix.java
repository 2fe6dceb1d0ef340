package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.internal.compress.Weights;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.testkit.SyntheticMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/** A matrix to compress, with the counts of a vocabulary. Its first rows are generated; the rest repeats them, each time a little smaller. */
final class BigMatrix implements AutoCloseable {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long SEED = 42;
    private static final double DECAY = 0.5;
    private static final double TOKENS_PER_ROW = 1000;
    private static final int GENERATED = 16_384;
    private static final float SHRINKING = 0.98f;
    private static final long PATTERN_BYTES = 16L << 20;

    private final Arena arena = Arena.ofShared();
    private final int rows;
    private final int columns;
    private Matrix matrix;

    /** Makes its numbers, gigabytes of them, when they are first asked for. */
    BigMatrix(int rows, int columns) {
        this.rows = rows;
        this.columns = columns;
    }

    Matrix matrix() {
        if (matrix != null) {
            return matrix;
        }
        int generated = Math.min(rows, GENERATED);
        float[] first = new float[generated * columns];
        new SyntheticMatrix(SEED, columns, DECAY).next(first, generated);
        MemorySegment data = arena.allocate((long) rows * columns * Float.BYTES, 64);
        for (int at = 0; at < rows; at += generated) {
            int count = Math.min(generated, rows - at);
            MemorySegment.copy(first, 0, data, F32, (long) at * columns * Float.BYTES, count * columns);
            for (int i = 0; i < first.length; i++) {
                first[i] *= SHRINKING;
            }
        }
        matrix = Matrix.of("synthetic", DType.F32, rows, columns, data);
        return matrix;
    }

    long[] counts() {
        return SyntheticMatrix.zipfCounts(SEED, rows, TOKENS_PER_ROW * rows);
    }

    /** Counts scaled to mean 1. */
    float[] weights() {
        return Weights.scaledToMeanOne(Weights.raw(counts(), 1));
    }

    /** Gram matrices of successive rows, each from eight times as many as it has columns, into {@code count} D x D places. */
    void grams(Card card, int count, long target) {
        Device device = card.device();
        int rows = 8 * columns;
        long bytes = (long) rows * columns * Double.BYTES;
        double[] values = new double[rows * columns];
        Matrix from = matrix();
        float[] row = new float[from.columns()];
        try (var ready = device.allocate(bytes, "rows for Gram matrices")) {
            for (int g = 0; g < count; g++) {
                for (int i = 0; i < rows; i++) {
                    from.readRow((g * (long) rows + i) % from.rows(), row, 0);
                    for (int j = 0; j < columns; j++) {
                        values[i * columns + j] = row[j];
                    }
                }
                device.upload(MemorySegment.ofArray(values), ready, 0);
                long gram = target + (long) g * columns * columns * Double.BYTES;
                card.blas().dsyrk(columns, rows, 1, Operand.of(ready.address(), columns), 0, Operand.of(gram, columns));
                device.stream().synchronize();
            }
        }
    }

    /** Random numbers of either precision; the same megabytes again and again. */
    static void fillWithNoise(Device device, long address, long bytes, boolean fp64) {
        long period = Math.min(bytes, PATTERN_BYTES);
        SplittableRandom random = new SplittableRandom(SEED);
        MemorySegment pattern = fp64
                ? MemorySegment.ofArray(
                        random.doubles(period / Double.BYTES, -1, 1).toArray())
                : MemorySegment.ofArray(floats(random, (int) (period / Float.BYTES)));
        try (var uploaded = device.allocate(pattern.byteSize(), "random numbers")) {
            device.upload(pattern, uploaded, 0);
            for (long at = 0; at < bytes; at += pattern.byteSize()) {
                device.stream().copy(address + at, uploaded.address(), Math.min(pattern.byteSize(), bytes - at));
            }
            device.stream().synchronize();
        }
    }

    private static float[] floats(SplittableRandom random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (2 * random.nextDouble() - 1);
        }
        return values;
    }

    @Override
    public void close() {
        arena.close();
    }
}
