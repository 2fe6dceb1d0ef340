package io.groupreduce.matrix;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
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

    @ParameterizedTest
    @EnumSource
    void everyCodecKeepsNumbersWithinItsStep(Codec codec) {
        for (ScaleFormat format : ScaleFormat.values()) {
            for (int width = 1; width <= WIDEST; width++) {
                for (int block : new int[] {width, 32, 7}) {
                    check(codec, format, width, block);
                }
            }
        }
    }

    private void check(Codec codec, ScaleFormat format, int width, int block) {
        int rows = 3;
        float[] values = values(width * 31L + block, rows * width);
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, rows, width, block, format);
        assertEquals(EncodedMatrix.storedBytes(codec, rows, width, block, format), matrix.bytes());
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, values, r * width);
        }
        float[] decoded = new float[width];
        for (int r = 0; r < rows; r++) {
            matrix.decodeRow(r, decoded, 0);
            for (int j = 0; j < width; j++) {
                float exact = values[r * width + j];
                String what = codec + ", " + format + ", width " + width + ", block " + block + ", row " + r
                        + ", column " + j;
                assertEquals(exact, decoded[j], tolerance(matrix, r, j, exact), what);
            }
            for (int s = 0; s < matrix.scalesPerRow(); s++) {
                int to = Math.min(width, (s + 1) * block);
                float max = absMax(values, r * width + s * block, r * width + to);
                float scale = matrix.scale(r, s);
                double step = format == ScaleFormat.LOG8 ? Math.pow(2, 0.125) : 1 + 1.0 / 128;
                assertTrue(scale >= max / codec.maxInteger() && scale <= max / codec.maxInteger() * step * 1.000001);
            }
            float[] prefix = new float[width];
            int count = (width + 1) / 2;
            matrix.decodeRow(r, count, prefix, 0);
            for (int j = 0; j < width; j++) {
                assertEquals(j < count ? decoded[j] : 0, prefix[j]);
            }
        }
    }

    private static double tolerance(EncodedMatrix matrix, int row, int j, float exact) {
        return switch (matrix.codec()) {
            case F32 -> 0;
            case BF16 -> Math.abs(exact) / 256;
            case INT8, INT4, INT3 -> 0.500001 * matrix.scale(row, j / matrix.block());
        };
    }

    private static float absMax(float[] values, int from, int to) {
        float max = 0;
        for (int j = from; j < to; j++) {
            max = Math.max(max, Math.abs(values[j]));
        }
        return max;
    }

    @Test
    void zerosStayZero() {
        for (Codec codec : Codec.values()) {
            for (ScaleFormat format : ScaleFormat.values()) {
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 2, 9, 9, format);
                matrix.encodeRow(0, new float[9], 0);
                matrix.encodeRow(1, new float[9], 0, null);
                for (int r = 0; r < 2; r++) {
                    float[] decoded = {1, 1, 1, 1, 1, 1, 1, 1, 1};
                    matrix.decodeRow(r, decoded, 0);
                    assertArrayEquals(new float[9], decoded);
                    assertEquals(0, codec.scaled() ? matrix.scale(r, 0) : 0);
                }
            }
        }
    }

    @Test
    void int4PacksLowNibbleFirstAndPadsWithEight() {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, Codec.INT4, 1, 3, 3);
        matrix.encodeRow(0, new float[] {7, -7, 1}, 0);
        byte[] bytes = matrix.data().toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(new byte[] {(byte) (15 | 1 << 4), (byte) (9 | 8 << 4)}, bytes);
    }

    /** Read back bit by bit, in rows that do not end with a byte and blocks that do not begin with one. */
    @Test
    void int3IsAStreamOfThreeBitsANumber() {
        for (int width = 1; width <= WIDEST; width++) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, Codec.INT3, 2, width, 5);
            float[] values = values(width, 2 * width);
            matrix.encodeRow(0, values, 0);
            matrix.encodeRow(1, values, width);
            byte[] bytes = matrix.data().toArray(ValueLayout.JAVA_BYTE);
            int rowBytes = (3 * width + 7) / 8;
            assertEquals(2 * rowBytes, bytes.length);
            float[] decoded = new float[width];
            matrix.decodeRow(1, decoded, 0);
            for (int j = 0; j < width; j++) {
                int stored = bit(bytes, rowBytes, 3 * j)
                        | bit(bytes, rowBytes, 3 * j + 1) << 1
                        | bit(bytes, rowBytes, 3 * j + 2) << 2;
                assertTrue(stored >= 1 && stored <= 7);
                assertEquals((stored - 4) * matrix.scale(1, j / 5), decoded[j]);
            }
            for (int b = 3 * width; b < 8 * rowBytes; b++) {
                assertEquals(0, bit(bytes, rowBytes, b), "width " + width);
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
        for (Codec codec : new Codec[] {Codec.INT8, Codec.INT4, Codec.INT3}) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 2, 3, 3, ScaleFormat.LOG8);
            float[] rows = {1e6f, -1e30f, 0, 1e-12f, -1e-30f, Float.MIN_VALUE};
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
                float most = codec.maxInteger() * ScaleFormat.log8(255);
                assertArrayEquals(new float[] {most, -most, 0, 0, 0, 0}, decoded);
                assertEquals(ScaleFormat.log8(1), matrix.scale(1, 0));
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
        for (Codec codec : new Codec[] {Codec.INT8, Codec.INT4, Codec.INT3}) {
            for (ScaleFormat format : ScaleFormat.values()) {
                for (int width = 1; width <= WIDEST; width++) {
                    int block = random.nextBoolean() ? width : 9;
                    int offset = random.nextInt(5);
                    float[] source = values(random.nextLong(), offset + width);
                    float[] weights = random.nextInt(3) == 0 ? null : new float[width];
                    for (int j = 0; weights != null && j < width; j++) {
                        weights[j] = random.nextFloat() * 10;
                    }
                    EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 2, width, block, format);
                    matrix.encodeRow(0, source, offset, weights);
                    matrix.encodeRow(1, source, offset);
                    double found = error(matrix, 0, source, offset, weights);
                    String what = codec + ", " + format + ", width " + width + ", block " + block;
                    assertTrue(found <= 1.00001 * error(matrix, 1, source, offset, weights), what);
                    double least = 0;
                    for (int from = 0; from < width; from += block) {
                        least += least(codec, format, source, offset, from, Math.min(width, from + block), weights);
                    }
                    float max = absMax(source, offset, offset + width);
                    assertEquals(least, found, 1e-4 * least + 1e-12 * max * max, what);
                }
            }
        }
    }

    /** The least error of a block over all candidates, in double precision. */
    private static double least(
            Codec codec, ScaleFormat format, float[] source, int offset, int from, int to, float[] weights) {
        float exact = absMax(source, offset + from, offset + to) / codec.maxInteger();
        boolean log8 = format == ScaleFormat.LOG8;
        int steps = codec == Codec.INT8 ? (log8 ? 3 : 4) : log8 ? 14 : 24;
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t <= steps; t++) {
            double scale = log8
                    ? format.atLeast(exact) * Math.pow(2, -t / 8.0)
                    : format.atLeast((float) (exact * Math.pow(2, -t / 16.0)));
            double sum = 0;
            for (int j = from; j < to; j++) {
                double x = source[offset + j];
                double integer = Math.rint(x / scale);
                double off = x - Math.max(-codec.maxInteger(), Math.min(codec.maxInteger(), integer)) * scale;
                sum += (weights == null ? 1 : weights[j]) * off * off;
            }
            least = Math.min(least, sum);
        }
        return least;
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
        for (Codec codec : new Codec[] {Codec.INT4, Codec.INT3}) {
            EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 3, row.length, row.length, format);
            matrix.encodeRow(0, row, 0);
            matrix.encodeRow(1, row, 0, null);
            matrix.encodeRow(2, row, 0, weights);
            String what = codec + ", " + format;
            assertTrue(error(matrix, 1, row, 0, null) < 0.95 * error(matrix, 0, row, 0, null), what);
            assertTrue(error(matrix, 2, row, 0, weights) < 0.5 * error(matrix, 0, row, 0, weights), what);
            assertTrue(matrix.scale(2, 0) < matrix.scale(1, 0), what);
        }
    }

    @Test
    void equallyGoodScalesGiveTheLargerOne() {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, Codec.INT3, 1, 2, 2, ScaleFormat.LOG8);
        // Errors that weigh nothing are the same for all scales.
        matrix.encodeRow(0, new float[] {3, -3}, 0, new float[] {0, 0});
        assertEquals(1, matrix.scale(0, 0));
    }

    @Test
    void requantizingKeepsTheScales() {
        for (Codec codec : Codec.values()) {
            for (ScaleFormat format : ScaleFormat.values()) {
                EncodedMatrix matrix = EncodedMatrix.allocate(arena, codec, 2, 19, 8, format);
                float[] source = values(4, 38);
                matrix.encodeRow(0, source, 0, null);
                matrix.encodeRow(1, source, 19);
                byte[] data = matrix.data().toArray(ValueLayout.JAVA_BYTE);
                matrix.requantizeRow(0, source, 0);
                matrix.requantizeRow(1, source, 19);
                assertArrayEquals(data, matrix.data().toArray(ValueLayout.JAVA_BYTE));
                byte[] scales = codec.scaled() ? matrix.scales().toArray(ValueLayout.JAVA_BYTE) : null;
                for (int j = 0; j < source.length; j++) {
                    source[j] *= j % 2 == 0 ? 1e6f : 0.3f;
                }
                matrix.requantizeRow(1, source, 19);
                float[] decoded = new float[19];
                matrix.decodeRow(1, decoded, 0);
                for (int j = 0; j < decoded.length; j++) {
                    float exact = source[19 + j];
                    float most = codec.scaled() ? codec.maxInteger() * matrix.scale(1, j / 8) : Float.MAX_VALUE;
                    float clipped = Math.max(-most, Math.min(most, exact));
                    assertEquals(clipped, decoded[j], tolerance(matrix, 1, j, exact), codec + ", " + format);
                }
                if (codec.scaled()) {
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
