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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class EncodedMatrixTest {
    private static final int WIDEST = 40;

    private final Arena arena = Arena.ofAuto();

    /** Numbers of several magnitudes; none needs a scale beyond {@link ScaleFormat#LOG8}. */
    private static float[] values(long seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(-3, 3)));
        }
        return values;
    }

    /** All widths alone, and rows that fall from many bits to few. */
    private static List<BitProfile> profiles(int width) {
        List<BitProfile> profiles = new ArrayList<>();
        for (int bits : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 16, 32}) {
            profiles.add(BitProfile.constant(bits, width));
        }
        for (int most : new int[] {8, 6, 3}) {
            profiles.add(falling(most, width));
        }
        return profiles;
    }

    private static BitProfile falling(int most, int width) {
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
    void log8IsAGridOfEighthsOfAnOctave() {
        assertEquals(0, ScaleFormat.log8(0));
        assertEquals(1, ScaleFormat.log8(192));
        assertEquals(4, ScaleFormat.log8(208));
        assertEquals(0.25f, ScaleFormat.log8(176));
        assertEquals(Math.pow(2, -23.875), ScaleFormat.log8(1), 1e-14);
        assertEquals(Math.pow(2, 7.875), ScaleFormat.log8(255), 1e-4);
        for (int u = 0; u < 255; u++) {
            float scale = ScaleFormat.log8(u);
            assertEquals(scale, ScaleFormat.LOG8.atLeast(scale));
            assertEquals(ScaleFormat.log8(u + 1), ScaleFormat.LOG8.atLeast(Math.nextUp(scale)));
        }
    }

    @Test
    void scalesOutsideTheGridOfLog8BecomeItsEnds() {
        for (int bits = 1; bits <= CodeValues.MOST_BITS; bits++) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, BitProfile.constant(bits, 3), 2, 3, ScaleFormat.LOG8);
            float[] rows = {1e6f, -1e30f, 1e6f, 1e-12f, -1e-30f, Float.MIN_VALUE};
            for (int search = 0; search < 2; search++) {
                for (int r = 0; r < 2; r++) {
                    if (search == 0) {
                        matrix.encodeRow(r, rows, 3 * r);
                    } else {
                        matrix.encodeRow(r, rows, 3 * r, null);
                    }
                }
                float[] decoded = new float[6];
                matrix.decodeRow(0, decoded, 0);
                matrix.decodeRow(1, decoded, 3);
                float most = CodeValues.largest(bits) * ScaleFormat.log8(255);
                assertArrayEquals(new float[] {most, -most, most}, Arrays.copyOf(decoded, 3));
                assertEquals(ScaleFormat.log8(1), matrix.scale(1, 0));
                for (int j = 3; j < 6; j++) {
                    assertTrue(Math.abs(decoded[j]) <= CodeValues.step(bits) / 2f * ScaleFormat.log8(1));
                }
            }
        }
    }

    /** Their scales would have no inverse, and the largest codes would be worse than a row of zeros. */
    @Test
    void rowsOfSubnormalScalesBecomeZeros() {
        float[] row = {Float.MIN_NORMAL, -1e-39f, Float.MIN_VALUE, 0};
        for (BitProfile profile : profiles(row.length)) {
            for (ScaleFormat format : ScaleFormat.values()) {
                if (!profile.scaled() || format == ScaleFormat.LOG8) {
                    continue;
                }
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 3, row.length, format);
                matrix.encodeRow(0, row, 0);
                matrix.encodeRow(1, row, 0, null);
                // One of another writer: numbers count as 0, which no value is nearer to than half a step.
                matrix.storeScale(2, 0, 0x1p-130f);
                matrix.requantizeRow(2, row, 0);
                float[] decoded = new float[row.length];
                for (int r = 0; r < 2; r++) {
                    matrix.decodeRow(r, decoded, 0);
                    assertArrayEquals(new float[row.length], decoded, 0f, profile + ", " + format);
                }
                matrix.decodeRow(2, decoded, 0);
                for (int j = 0; j < row.length; j++) {
                    int bits = profile.bits(j);
                    assertEquals(CodeValues.value(bits, CodeValues.nearest(bits, 0)) * 0x1p-130f, decoded[j]);
                }
            }
        }
    }

    private static double error(EncodedMatrix matrix, int row, float[] source, int offset, float[] weights) {
        float[] decoded = new float[matrix.width()];
        matrix.decodeRow(row, decoded, 0);
        double sum = 0;
        for (int j = 0; j < decoded.length; j++) {
            double off = (double) source[offset + j] - decoded[j];
            sum += (weights == null ? 1 : weights[j]) * off * off;
        }
        return sum;
    }

    @Test
    void theSearchFindsTheLeastOfItsCandidates() {
        SplittableRandom random = new SplittableRandom(3);
        for (ScaleFormat format : ScaleFormat.values()) {
            for (int width = 1; width <= 3 * WIDEST; width += width < WIDEST ? 1 : 19) {
                for (BitProfile profile : profiles(width)) {
                    if (!profile.scaled()) {
                        continue;
                    }
                    int block = random.nextBoolean() ? width : 9;
                    int offset = random.nextInt(5);
                    float[] source = values(random.nextLong(), offset + width);
                    float[] weights = random.nextInt(3) == 0 ? null : new float[width];
                    for (int j = 0; weights != null && j < width; j++) {
                        weights[j] = random.nextFloat() * 10;
                    }
                    EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 1, block, format);
                    matrix.encodeRow(0, source, offset, weights);
                    double found = error(matrix, 0, source, offset, weights);
                    double least = 0;
                    double squares = 0;
                    for (int from = 0; from < width; from += block) {
                        int to = Math.min(width, from + block);
                        least += least(profile, format, source, offset, from, to, weights);
                        for (int j = from; j < to; j++) {
                            squares += source[offset + j] * source[offset + j];
                        }
                    }
                    String what = profile + ", " + format + ", block " + block;
                    assertEquals(least, found, 1e-4 * least + 1e-10 * squares, what);
                }
            }
        }
    }

    /** The least error of a block over all candidates, in double precision. */
    private static double least(
            BitProfile profile, ScaleFormat format, float[] source, int offset, int from, int to, float[] weights) {
        double wide = 0;
        double squares = 0;
        double near = 0;
        for (int j = from; j < to; j++) {
            double x = source[offset + j];
            wide = profile.bits(j) >= ScaleSearch.WIDE_BITS
                    ? Math.max(wide, Math.abs(x) / CodeValues.largest(profile.bits(j)))
                    : wide;
            squares += x * x;
            near += j - from < ScaleSearch.NEAR ? x * x : 0;
        }
        double deviation =
                Math.max(Math.sqrt(near / Math.min(ScaleSearch.NEAR, to - from)), Math.sqrt(squares / (to - from)) / 4)
                        / CodeValues.DEVIATION;
        float first = (float) Math.max(ScaleSearch.UP * deviation, wide);
        boolean log8 = format == ScaleFormat.LOG8;
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t < ScaleSearch.MOST; t++) {
            double wanted = (log8 ? format.atLeast(first) : first) * Math.pow(2, -t / 8.0);
            if (t > 0 && wanted < ScaleSearch.DOWN * deviation) {
                break;
            }
            double scale = log8 ? wanted : format.atLeast((float) wanted);
            double sum = 0;
            for (int j = from; j < to; j++) {
                double x = source[offset + j];
                double off = x - nearest(profile.bits(j), x / scale) * scale;
                sum += (weights == null ? 1 : weights[j]) * off * off;
            }
            least = Math.min(least, sum);
        }
        return least;
    }

    /** The nearest of all values of a width. */
    private static int nearest(int bits, double x) {
        int nearest = 0;
        double least = Double.POSITIVE_INFINITY;
        // The value -128 is never used: values are symmetric.
        for (int code = bits == 8 ? 1 : 0; code < 1 << bits; code++) {
            double off = Math.abs(x - CodeValues.value(bits, code));
            if (off < least) {
                least = off;
                nearest = CodeValues.value(bits, code);
            }
        }
        return nearest;
    }

    @ParameterizedTest
    @EnumSource
    void anOutlierIsClippedForTheSakeOfTheRest(ScaleFormat format) {
        SplittableRandom random = new SplittableRandom(8);
        float[] row = new float[64];
        for (int j = 0; j < row.length; j++) {
            row[j] = (float) random.nextGaussian();
        }
        row[11] = 6;
        float[] weights = new float[row.length];
        Arrays.fill(weights, 2);
        weights[11] = 0.01f;
        BitProfile[] profiles = {
            BitProfile.of(Codec.INT3, 64), BitProfile.constant(2, 64), BitProfile.constant(1, 64), falling(5, 64)
        };
        for (BitProfile profile : profiles) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, 3, row.length, format);
            matrix.encodeRow(0, row, 0);
            matrix.encodeRow(1, row, 0, null);
            matrix.encodeRow(2, row, 0, weights);
            String what = profile + ", " + format;
            assertTrue(error(matrix, 1, row, 0, null) < 0.95 * error(matrix, 0, row, 0, null), what);
            assertTrue(error(matrix, 2, row, 0, weights) < 0.5 * error(matrix, 0, row, 0, weights), what);
            assertTrue(matrix.scale(2, 0) < matrix.scale(1, 0), what);
        }
    }

    @Test
    void equallyGoodScalesGiveTheLargerOne() {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT3, 2), 1, 2, ScaleFormat.LOG8);
        // Errors that weigh nothing are the same for all scales.
        matrix.encodeRow(0, new float[] {3, -3}, 0, new float[] {0, 0});
        assertEquals(ScaleFormat.LOG8.atLeast(ScaleSearch.UP * 3 / CodeValues.DEVIATION), matrix.scale(0, 0));
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
