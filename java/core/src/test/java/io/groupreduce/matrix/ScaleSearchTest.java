package io.groupreduce.matrix;

import static io.groupreduce.matrix.EncodedMatrixTest.WIDEST;
import static io.groupreduce.matrix.EncodedMatrixTest.falling;
import static io.groupreduce.matrix.EncodedMatrixTest.profiles;
import static io.groupreduce.matrix.EncodedMatrixTest.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which scales there are, and which of them a row takes. */
class ScaleSearchTest {
    private final Arena arena = Arena.ofAuto();

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

    /** Numbers of 8 bits are best off near the least scale that does not clip them. */
    @Test
    void ofFineFormatsACandidateClipsNothingAndNoLessWill() {
        float[] candidates = new float[ScaleSearch.MOST];
        for (float wide : new float[] {0.3f, 1, 1.3f, 3.7f, 100}) {
            int count = ScaleSearch.candidates(ScaleFormat.F32, 1, wide, candidates);
            assertTrue(candidates[0] >= Math.max(wide, ScaleSearch.UP));
            assertTrue(candidates[0] < Math.max(wide, ScaleSearch.UP) * 1.0906f, "no step too many");
            float nearest = Float.POSITIVE_INFINITY;
            for (int t = 0; t < count; t++) {
                nearest = Math.abs(candidates[t] - wide) < Math.abs(nearest - wide) ? candidates[t] : nearest;
            }
            assertEquals(Math.max(wide, candidates[count - 1]), nearest, 1e-6f * wide);
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
        boolean log8 = format == ScaleFormat.LOG8;
        double usual = ScaleSearch.UP * deviation;
        double above = log8 || wide == 0 ? 0 : Math.max(0, Math.ceil(8 * Math.log(usual / wide) / Math.log(2)));
        float first = (float) (above < ScaleSearch.MOST ? Math.max(usual, wide * Math.pow(2, above / 8)) : usual);
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
}
