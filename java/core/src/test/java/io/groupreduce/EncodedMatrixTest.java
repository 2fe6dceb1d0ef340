package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class EncodedMatrixTest {
    @Test
    void everyCodecKeepsNumbersWithinItsStep() {
        try (Arena arena = Arena.ofConfined()) {
            for (Codec codec : Codec.values()) {
                for (int width : new int[] {1, 2, 7, 32, 33, 100}) {
                    for (int block : new int[] {width, 32}) {
                        check(arena, codec, width, block);
                    }
                }
            }
        }
    }

    private static void check(Arena arena, Codec codec, int width, int block) {
        int rows = 5;
        SplittableRandom random = new SplittableRandom(width * 31L + block);
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, rows, width, block);
        assertEquals(EncodedMatrix.storedBytes(codec, rows, width, block), matrix.bytes());
        float[] values = new float[rows * width];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(4)));
        }
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, values, r * width);
        }
        float[] decoded = new float[width];
        for (int r = 0; r < rows; r++) {
            matrix.decodeRow(r, decoded, 0);
            for (int j = 0; j < width; j++) {
                float exact = values[r * width + j];
                String what = codec + ", width " + width + ", block " + block + ", row " + r + ", column " + j;
                assertEquals(exact, decoded[j], tolerance(codec, values, r * width, width, block, j), what);
            }
            float[] prefix = new float[width];
            int count = (width + 1) / 2;
            matrix.decodeRow(r, count, prefix, 0);
            for (int j = 0; j < width; j++) {
                assertEquals(j < count ? decoded[j] : 0, prefix[j]);
            }
        }
    }

    /** Half a step of the scale, which bfloat16 may have rounded up by 2^-7. */
    private static double tolerance(Codec codec, float[] values, int from, int width, int block, int j) {
        double max = 0;
        for (int k = j / block * block; k < Math.min(width, j / block * block + block); k++) {
            max = Math.max(max, Math.abs(values[from + k]));
        }
        return switch (codec) {
            case F32 -> 0;
            case BF16 -> Math.abs(values[from + j]) / 256;
            case INT8, INT4 -> max / codec.maxInteger() * (1 + 1.0 / 64) / 2;
        };
    }

    @Test
    void zerosStayZero() {
        try (Arena arena = Arena.ofConfined()) {
            for (Codec codec : Codec.values()) {
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 1, 9, 9);
                matrix.encodeRow(0, new float[9], 0);
                float[] decoded = {1, 1, 1, 1, 1, 1, 1, 1, 1};
                matrix.decodeRow(0, decoded, 0);
                assertArrayEquals(new float[9], decoded);
            }
        }
    }

    @Test
    void int4PacksLowNibbleFirstAndPadsWithEight() {
        try (Arena arena = Arena.ofConfined()) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, Codec.INT4, 1, 3, 3);
            matrix.encodeRow(0, new float[] {7, -7, 1}, 0);
            byte[] bytes = matrix.data().toArray(ValueLayout.JAVA_BYTE);
            assertArrayEquals(new byte[] {(byte) (15 | 1 << 4), (byte) (9 | 8 << 4)}, bytes);
        }
    }

    @Test
    void bfloat16RoundsToNearestEven() {
        assertEquals(1f, Bf16.widen(Bf16.round(1f + 1f / 512)));
        assertEquals(1f, Bf16.widen(Bf16.round(1f + 1f / 256)));
        assertEquals(1f + 1f / 64, Bf16.widen(Bf16.round(1f + 3f / 256)));
        assertTrue(Bf16.widen(Bf16.roundUp(1.0001f)) >= 1.0001f);
        assertEquals(1f, Bf16.widen(Bf16.roundUp(1f)));
    }
}
