package io.groupreduce.vector.kernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class GemmTest {
    private static final int[][] SHAPES = {{1, 1, 1}, {5, 3, 7}, {6, 64, 64}, {131, 600, 70}, {240, 1030, 129}};

    @Test
    void multipliesRaggedShapes() {
        for (int[] shape : SHAPES) {
            int rows = shape[0];
            int depth = shape[1];
            int columns = shape[2];
            float[] a = Numbers.random(1, Lanes.padRows(rows) * depth);
            float[] b = Numbers.random(2, depth * columns);
            int ldc = Lanes.padColumns(columns);
            float[] c = new float[Lanes.padRows(rows) * ldc];
            PackedMatrix packed = PackedMatrix.of(b, depth, columns, columns);
            Gemm.multiply(a, depth, rows, depth, packed, packed.panels(), c, ldc);
            for (int i = 0; i < rows; i += Math.max(1, rows / 9)) {
                for (int j = 0; j < columns; j++) {
                    double expected = 0;
                    for (int k = 0; k < depth; k++) {
                        expected += (double) a[i * depth + k] * b[k * columns + j];
                    }
                    assertEquals(
                            expected,
                            c[i * ldc + j],
                            1e-6 * depth,
                            "[" + i + ", " + j + "] of " + rows + " x " + depth + " x " + columns);
                }
            }
        }
    }

    @Test
    void threadsAndTransposedPackingChangeNoBit() {
        int rows = 250;
        int depth = 700;
        int columns = 150;
        float[] a = Numbers.random(3, Lanes.padRows(rows) * depth);
        float[] b = Numbers.random(4, depth * columns);
        float[] transposed = new float[b.length];
        for (int k = 0; k < depth; k++) {
            for (int j = 0; j < columns; j++) {
                transposed[j * depth + k] = b[k * columns + j];
            }
        }
        int ldc = Lanes.padColumns(columns);
        float[] expected = new float[Lanes.padRows(rows) * ldc];
        Gemm.multiply(Workers.NONE, a, depth, rows, PackedMatrix.of(b, depth, columns, columns), expected, ldc);
        for (int threads = 2; threads <= 3; threads++) {
            try (Workers workers = new Workers(threads)) {
                float[] c = new float[expected.length];
                PackedMatrix packed = PackedMatrix.ofTransposed(transposed, depth, columns, depth);
                Gemm.multiply(workers, a, depth, rows, packed, c, ldc);
                assertArrayEquals(expected, c, threads + " threads");
            }
        }
    }
}
