package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The kernel against its scalar twin, {@link EncodedMatrix#encodeRow(long, float[], int, float[])}. */
class ScaleKernelTest {
    private static final Codec[] SCALED = {Codec.INT3, Codec.INT4, Codec.INT8};

    @Test
    void losesNoMoreThanTheTwin() {
        try (Arena arena = Arena.ofShared()) {
            int smaller = 0;
            for (int width : new int[] {1, 2, 7, 15, 16, 17, 40, 129}) {
                for (Codec codec : SCALED) {
                    for (ScaleFormat format : ScaleFormat.values()) {
                        for (boolean weighted : new boolean[] {false, true}) {
                            smaller += compare(arena, width, codec, format, weighted);
                        }
                    }
                }
            }
            // Otherwise any scale would do.
            assertTrue(smaller > 0, "some scale lies below the one that clips nothing");
        }
    }

    /** Returns 1 where a scale was taken that clips. */
    private static int compare(Arena arena, int width, Codec codec, ScaleFormat format, boolean weighted) {
        String what = codec + ", " + format + ", width " + width + ", weighted " + weighted;
        SplittableRandom random = new SplittableRandom(width);
        float[] values = new float[width + 3];
        float[] weights = new float[width];
        for (int j = 0; j < values.length; j++) {
            values[j] = (float) random.nextGaussian();
        }
        for (int j = 0; j < width; j++) {
            weights[j] = (float) random.nextDouble(0.1, 2);
        }
        values[3] *= 4;
        EncodedMatrix mine = EncodedMatrix.allocate(arena, codec, 1, width, width, format);
        EncodedMatrix twin = EncodedMatrix.allocate(arena, codec, 1, width, width, format);
        EncodedMatrix plain = EncodedMatrix.allocate(arena, codec, 1, width, width, format);
        new ScaleKernel().encode(mine, 0, values, 3, weighted ? weights : null);
        twin.encodeRow(0, values, 3, weighted ? weights : null);
        plain.encodeRow(0, values, 3);
        double expected = error(twin, values, weighted ? weights : null);
        assertEquals(expected, error(mine, values, weighted ? weights : null), 1e-5 * expected + 1e-12, what);
        return mine.scale(0, 0) < plain.scale(0, 0) ? 1 : 0;
    }

    private static double error(EncodedMatrix stored, float[] values, float[] weights) {
        float[] decoded = new float[stored.width()];
        stored.decodeRow(0, decoded, 0);
        double sum = 0;
        for (int j = 0; j < decoded.length; j++) {
            double off = decoded[j] - values[3 + j];
            sum += (weights == null ? 1 : weights[j]) * off * off;
        }
        return sum;
    }

    @Test
    void zerosStayZeros() {
        try (Arena arena = Arena.ofShared()) {
            for (Codec codec : SCALED) {
                EncodedMatrix stored = EncodedMatrix.allocate(arena, codec, 1, 9, 9, ScaleFormat.LOG8);
                new ScaleKernel().encode(stored, 0, new float[9], 0, null);
                assertEquals(0, stored.scale(0, 0), codec.label());
                float[] decoded = new float[9];
                stored.decodeRow(0, decoded, 0);
                for (float value : decoded) {
                    assertEquals(0, value, codec.label());
                }
            }
        }
    }
}
