package io.groupreduce.matrix;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class EncodedMatrixTest {
    static final int WIDEST = 40;

    private final Arena arena = Arena.ofAuto();

    /** Numbers of several magnitudes; none needs a scale beyond {@link ScaleFormat#LOG8}. */
    static float[] values(long seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(-3, 3)));
        }
        return values;
    }

    /** All widths alone, and rows that fall from many bits to few. */
    static List<BitProfile> profiles(int width) {
        List<BitProfile> profiles = new ArrayList<>();
        for (int bits : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 16, 32}) {
            profiles.add(BitProfile.constant(bits, width));
        }
        for (int most : new int[] {8, 6, 3}) {
            profiles.add(falling(most, width));
        }
        return profiles;
    }

    static BitProfile falling(int most, int width) {
        return BitProfile.of(IntStream.range(0, width)
                .map(j -> Math.max(1, most - j * most / width))
                .toArray());
    }

    @Test
    void numbersStayWithinTheStepOfTheirBits() {
        for (ScaleFormat format : ScaleFormat.values()) {
            for (int width = 1; width <= WIDEST; width++) {
                for (BitProfile profile : profiles(width)) {
                    for (int block : new int[] {width, 32, 7}) {
                        check(profile, format, block);
                    }
                }
            }
        }
    }

    private void check(BitProfile profile, ScaleFormat format, int block) {
        int rows = 3;
        int width = profile.width();
        float[] values = values(width * 31L + block, rows * width);
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, rows, block, format);
        assertEquals(EncodedMatrix.storedBytes(profile, rows, block, format), matrix.bytes());
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, values, r * width);
        }
        float[] decoded = new float[width];
        for (int r = 0; r < rows; r++) {
            matrix.decodeRow(r, decoded, 0);
            for (int j = 0; j < width; j++) {
                float exact = values[r * width + j];
                String what = profile + ", " + format + ", block " + block + ", row " + r + ", column " + j;
                assertEquals(exact, decoded[j], tolerance(matrix, r, j, exact), what);
            }
            for (int s = 0; s < matrix.scalesPerRow(); s++) {
                int to = Math.min(width, (s + 1) * block);
                float least = largest(profile, values, r * width, s * block, to);
                float scale = matrix.scale(r, s);
                double step = format == ScaleFormat.LOG8 ? Math.pow(2, 0.125) : 1 + 1.0 / 128;
                assertTrue(scale >= least * 0.999999 && scale <= least * step * 1.000001);
            }
            float[] prefix = new float[width];
            int count = (width + 1) / 2;
            matrix.decodeRow(r, count, prefix, 0);
            for (int j = 0; j < width; j++) {
                assertEquals(j < count ? decoded[j] : 0, prefix[j]);
            }
            if (profile.scaled()) {
                checkValues(matrix, r, decoded);
            }
        }
    }

    /** A row of any widths is a row of signed bytes times its scales. */
    private static void checkValues(EncodedMatrix matrix, int row, float[] decoded) {
        float[] whole = new float[decoded.length + 2];
        matrix.decodeValues(row, decoded.length, whole, 1);
        for (int j = 0; j < decoded.length; j++) {
            assertTrue(whole[j + 1] == (byte) whole[j + 1], () -> Arrays.toString(whole));
            assertEquals(decoded[j], whole[j + 1] * matrix.scale(row, j / matrix.block()));
        }
        assertEquals(0, whole[0]);
        assertEquals(0, whole[decoded.length + 1]);
    }

    private static double tolerance(EncodedMatrix matrix, int row, int j, float exact) {
        int bits = matrix.profile().bits(j);
        return switch (bits) {
            case Float.SIZE -> 0;
            case Short.SIZE -> Math.abs(exact) / 256;
            default -> 0.500001 * CodeValues.step(bits) * matrix.scale(row, j / matrix.block());
        };
    }

    /** The scale that just clips none of the numbers. */
    private static float largest(BitProfile profile, float[] values, int offset, int from, int to) {
        float largest = 0;
        for (int j = from; j < to; j++) {
            largest = Math.max(largest, Math.abs(values[offset + j]) / CodeValues.largest(profile.bits(j)));
        }
        return largest;
    }

    @Test
    void zerosStayZero() {
        for (BitProfile profile : profiles(9)) {
            for (ScaleFormat format : ScaleFormat.values()) {
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 2, 9, format);
                matrix.encodeRow(0, new float[9], 0);
                matrix.encodeRow(1, new float[9], 0, null);
                for (int r = 0; r < 2; r++) {
                    float[] decoded = {1, 1, 1, 1, 1, 1, 1, 1, 1};
                    matrix.decodeRow(r, decoded, 0);
                    assertArrayEquals(new float[9], decoded, 0f);
                    assertEquals(0, profile.scaled() ? matrix.scale(r, 0) : 0);
                }
            }
        }
    }

    /** By hand: 6, 4, 4 and 1 bits, the lowest bit of the first byte first, filled up with zeros. */
    @Test
    void aRowIsAStreamOfBits() {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, BitProfile.of(6, 4, 4, 1), 1, 4);
        matrix.storeScale(0, 0, 1);
        float[] row = {CodeValues.value(6, 0b101101), CodeValues.value(4, 0b0110), CodeValues.value(4, 0b1111), 5};
        matrix.requantizeRow(0, row, 0);
        byte[] bytes = matrix.data().toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(new byte[] {(byte) 0b10_101101, (byte) 0b0_1_1111_01}, bytes);
    }

    /** Read back bit by bit, in rows that do not end with a byte and blocks that do not begin with one. */
    @Test
    void codesLieOneAfterTheOther() {
        for (int width = 1; width <= WIDEST; width++) {
            for (BitProfile profile : profiles(width)) {
                if (!profile.scaled()) {
                    continue;
                }
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 2, 5);
                float[] values = values(width, 2 * width);
                matrix.encodeRow(0, values, 0);
                matrix.encodeRow(1, values, width);
                byte[] bytes = matrix.data().toArray(ValueLayout.JAVA_BYTE);
                int rowBytes = bytes.length / 2;
                assertEquals((profile.rowBits() + 7) / 8, rowBytes);
                float[] decoded = new float[width];
                matrix.decodeRow(1, decoded, 0);
                int at = 0;
                for (int j = 0; j < width; j++) {
                    int code = 0;
                    for (int b = 0; b < profile.bits(j); b++) {
                        code |= bit(bytes, rowBytes, at++) << b;
                    }
                    int value = CodeValues.value(profile.bits(j), code);
                    assertEquals(value * matrix.scale(1, j / 5), decoded[j], profile + ", number " + j);
                }
                assertEquals(profile.rowBits(), at);
                for (; at < 8 * rowBytes; at++) {
                    assertEquals(0, bit(bytes, rowBytes, at), profile.toString());
                }
            }
        }
    }

    private static int bit(byte[] bytes, int from, int bit) {
        return bytes[from + bit / 8] >> bit % 8 & 1;
    }

    @Test
    void requantizingKeepsTheScales() {
        for (BitProfile profile : profiles(19)) {
            for (ScaleFormat format : ScaleFormat.values()) {
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 2, 8, format);
                float[] source = values(4, 38);
                matrix.encodeRow(0, source, 0, null);
                matrix.encodeRow(1, source, 19);
                byte[] data = matrix.data().toArray(ValueLayout.JAVA_BYTE);
                matrix.requantizeRow(0, source, 0);
                matrix.requantizeRow(1, source, 19);
                assertArrayEquals(data, matrix.data().toArray(ValueLayout.JAVA_BYTE));
                byte[] scales = profile.scaled() ? matrix.scales().toArray(ValueLayout.JAVA_BYTE) : null;
                for (int j = 0; j < source.length; j++) {
                    source[j] *= j % 2 == 0 ? 1e6f : 0.3f;
                }
                matrix.requantizeRow(1, source, 19);
                float[] decoded = new float[19];
                matrix.decodeRow(1, decoded, 0);
                for (int j = 0; j < decoded.length; j++) {
                    float exact = source[19 + j];
                    float most = profile.scaled()
                            ? CodeValues.largest(profile.bits(j)) * matrix.scale(1, j / 8)
                            : Float.MAX_VALUE;
                    float clipped = Math.max(-most, Math.min(most, exact));
                    assertEquals(clipped, decoded[j], tolerance(matrix, 1, j, exact), profile + ", " + format);
                }
                if (profile.scaled()) {
                    assertArrayEquals(scales, matrix.scales().toArray(ValueLayout.JAVA_BYTE));
                }
            }
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
