package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The kernel against its scalar twin, {@link EncodedMatrix#encodeRow(long, float[], int, float[])}. */
class ScaleKernelTest {
    /** One width, and bits that fall from 8 to 1 and from 3 to 1. */
    private static List<BitProfile> profiles(int width) {
        return List.of(
                BitProfile.of(Codec.INT3, width),
                BitProfile.of(Codec.INT4, width),
                BitProfile.of(Codec.INT8, width),
                BitProfile.of(
                        IntStream.range(0, width).map(j -> 8 - 8 * j / width).toArray()),
                BitProfile.of(
                        IntStream.range(0, width).map(j -> 3 - 3 * j / width).toArray()));
    }

    @Test
    void losesNoMoreThanTheTwin() {
        try (Arena arena = Arena.ofShared()) {
            int smaller = 0;
            for (int width : new int[] {1, 2, 7, 15, 16, 17, 40, 129}) {
                for (BitProfile profile : profiles(width)) {
                    for (ScaleFormat format : ScaleFormat.values()) {
                        for (boolean weighted : new boolean[] {false, true}) {
                            smaller += compare(arena, profile, format, weighted);
                        }
                    }
                }
            }
            // Otherwise any scale would do.
            assertTrue(smaller > 0, "some scale lies below the one that clips nothing");
        }
    }

    /** Returns 1 where a scale was taken that clips. */
    private static int compare(Arena arena, BitProfile profile, ScaleFormat format, boolean weighted) {
        String what = profile + ", " + format + ", weighted " + weighted;
        int width = profile.width();
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
        EncodedMatrix mine = EncodedMatrix.allocate(arena, profile, 1, width, format);
        EncodedMatrix twin = EncodedMatrix.allocate(arena, profile, 1, width, format);
        EncodedMatrix plain = EncodedMatrix.allocate(arena, profile, 1, width, format);
        new ScaleKernel(profile, weighted ? weights : null).encode(mine, 0, values, 3);
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
            for (BitProfile profile : profiles(9)) {
                EncodedMatrix stored = EncodedMatrix.allocate(arena, profile, 1, 9, ScaleFormat.LOG8);
                new ScaleKernel(profile, null).encode(stored, 0, new float[9], 0);
                assertEquals(0, stored.scale(0, 0), profile.label());
                float[] decoded = new float[9];
                stored.decodeRow(0, decoded, 0);
                for (float value : decoded) {
                    assertEquals(0, value, profile.label());
                }
            }
        }
    }
}
