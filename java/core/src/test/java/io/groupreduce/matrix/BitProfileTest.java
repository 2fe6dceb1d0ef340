package io.groupreduce.matrix;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Profiles, what they are in a file, and the values of their codes. */
class BitProfileTest {
    @Test
    void aProfileKnowsItsWidths() {
        BitProfile profile = BitProfile.of(6, 6, 4, 4, 4, 1);
        assertEquals(6, profile.width());
        assertEquals(25, profile.rowBits());
        assertEquals(4, profile.rowBytes());
        assertEquals(6, profile.most());
        assertEquals(0, profile.uniform());
        assertEquals(5, profile.atLeast(4));
        assertEquals(2, profile.atLeast(5));
        assertEquals(0, profile.atLeast(7));
        assertTrue(profile.scaled());
        assertFalse(BitProfile.EMPTY.scaled());
        assertFalse(BitProfile.constant(16, 2).scaled());
        assertEquals(BitProfile.of(6, 6, 4), profile.prefix(3));
        assertEquals(BitProfile.of(6, 6, 4).hashCode(), profile.prefix(3).hashCode());
        assertNotEquals(BitProfile.of(6, 6, 3), profile.prefix(3));
        assertArrayEquals(new int[] {6, 6, 4, 4, 4, 1}, profile.toArray());
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "9", "-1", "15", "17", "33", "4 5", "8 16", "16 8", "32 16", "16 32", "8 0", "9 9"})
    void otherWidthsAreRefused(String bits) {
        int[] widths =
                Arrays.stream(bits.split(" ")).mapToInt(Integer::parseInt).toArray();
        assertThrows(IllegalArgumentException.class, () -> BitProfile.of(widths));
    }

    @ParameterizedTest
    @CsvSource({
        "8x3, int8",
        "4x3, int4",
        "3x9, int3",
        "16x2, bf16",
        "32x2, f32",
        "6x2.0.1, 6..4 bits",
        "1x5, 1 bit",
        "2x5, 2 bits"
    })
    void labelsSayWhatPeopleKnow(String text, String label) {
        assertEquals(label, BitProfile.parse(text, 9).label());
    }

    @Test
    void theTextComesBack() {
        SplittableRandom random = new SplittableRandom(5);
        for (int n = 0; n < 2000; n++) {
            int[] bits = new int[1 + random.nextInt(300)];
            int now = 1 + random.nextInt(8);
            for (int j = 0; j < bits.length; j++) {
                now = random.nextInt(20) == 0 ? 1 + random.nextInt(now) : now;
                bits[j] = now;
            }
            BitProfile profile = BitProfile.of(bits);
            assertEquals(profile, BitProfile.parse(profile.text(), bits.length));
            assertThrows(IllegalArgumentException.class, () -> BitProfile.parse(profile.text(), bits.length - 1));
        }
        assertEquals("6x2.0.3.0.0.1", BitProfile.of(6, 6, 4, 4, 4, 1).text());
        assertEquals("32x2", BitProfile.of(32, 32).text());
        assertEquals("", BitProfile.EMPTY.text());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "8",
                "x3",
                "8x",
                "8x0",
                "8x3.0",
                "8x0.3",
                "3x1.1.1.1",
                "16x1.1",
                "9x1",
                "08x1",
                "8x01",
                "8x1.",
                "8x1 "
            })
    void otherTextIsRefused(String text) {
        assertThrows(IllegalArgumentException.class, () -> BitProfile.parse(text, 100));
    }

    @Test
    void partsAreDescribedAsShortAsTheyCan() {
        BitProfile falling = BitProfile.of(6, 6, 4);
        assertEquals(
                "6x2.0.1",
                StoredPart.of(new GroupPlan(0, falling), 3, ScaleFormat.LOG8).text());
        assertEquals(
                "7:6x2.0.1/bf16",
                StoredPart.of(new GroupPlan(7, falling), 3, ScaleFormat.BF16).text());
        assertEquals(
                "zero", StoredPart.of(GroupPlan.zero(), 0, ScaleFormat.LOG8).text());
        for (String text :
                new String[] {"dense:4x40/f32/32", "dense:4x40/32", "dense:32x40", "3:16x5", "1:1x99", "zero"}) {
            assertEquals(text, StoredPart.parse(text, 99).text());
        }
    }

    /** Values are whole, symmetric, at equal distances, and fit a signed byte, whatever the width. */
    @Test
    void valuesAreSignedBytes() {
        for (int bits = 1; bits <= CodeValues.MOST_BITS; bits++) {
            int codes = 1 << bits;
            int first = bits == 8 ? 1 : 0;
            assertEquals(CodeValues.largest(bits), CodeValues.value(bits, codes - 1));
            assertEquals(-CodeValues.largest(bits), CodeValues.value(bits, first));
            assertTrue(CodeValues.largest(bits) <= Byte.MAX_VALUE, bits + " bits");
            for (int code = first; code < codes; code++) {
                int value = CodeValues.value(bits, code);
                assertEquals(CodeValues.value(bits, 0) + CodeValues.step(bits) * code, value);
                assertEquals(code, CodeValues.nearest(bits, value));
                assertEquals(code, CodeValues.nearest(bits, value + 0.499f * CodeValues.step(bits)));
                assertEquals(code, CodeValues.nearest(bits, value - 0.499f * CodeValues.step(bits)));
                assertEquals(value, CodeValues.table(bits)[code]);
            }
            assertEquals(codes - 1, CodeValues.nearest(bits, Float.POSITIVE_INFINITY));
            assertEquals(first, CodeValues.nearest(bits, Float.NEGATIVE_INFINITY));
            assertFalse(bits < 8 && CodeValues.half(bits) * 2 != CodeValues.step(bits));
        }
        assertEquals(128, CodeValues.nearest(8, Float.NaN));
    }

    /** Of all whole distances whose values fit a signed byte, those of least mean squared error for a Gaussian number of the deviation. */
    @Test
    void distancesAreThoseOfAGaussian() {
        for (int bits = 1; bits < CodeValues.MOST_BITS; bits++) {
            double ours = gaussianError(bits, CodeValues.half(bits));
            for (int half = 1; half * ((1 << bits) - 1) <= Byte.MAX_VALUE; half++) {
                assertTrue(ours <= gaussianError(bits, half), bits + " bits, half a distance of " + half);
            }
        }
    }

    private static double gaussianError(int bits, int half) {
        double sum = 0;
        double weights = 0;
        int most = (1 << bits) - 1;
        for (double x = 0; x < 6 * CodeValues.DEVIATION; x += 0.1) {
            double value = Math.min(most, 2 * Math.floor(x / (2.0 * half)) + 1) * half;
            double weight = Math.exp(-x * x / (2.0 * CodeValues.DEVIATION * CodeValues.DEVIATION));
            sum += weight * (x - value) * (x - value);
            weights += weight;
        }
        return sum / weights;
    }
}
