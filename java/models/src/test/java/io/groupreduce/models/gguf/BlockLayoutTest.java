package io.groupreduce.models.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Blocks of each type, a few bytes set by hand and the numbers that follow from its layout worked out beside them. */
class BlockLayoutTest {
    /** 0.5, 0.25 and -2 as binary16. */
    private static final int HALF = 0x3800;

    private static final int QUARTER = 0x3400;
    private static final int MINUS_TWO = 0xc000;

    private final byte[] block = new byte[300];

    private void half(int at, int bits) {
        set(at, bits & 0xff);
        set(at + 1, bits >> 8);
    }

    private void set(int at, int value) {
        block[at] = (byte) value;
    }

    private float[] decoded(GgufType type) {
        float[] numbers = new float[type.blockElements()];
        BlockLayout.of(type).orElseThrow().decode(MemorySegment.ofArray(block), 0, numbers, 0, numbers.length);
        return numbers;
    }

    /** All numbers are {@code rest}, but for pairs of an index and a number. */
    private static void assertNumbers(float[] numbers, double rest, double... others) {
        float[] expected = new float[numbers.length];
        Arrays.fill(expected, (float) rest);
        for (int i = 0; i < others.length; i += 2) {
            expected[(int) others[i]] = (float) others[i + 1];
        }
        assertArrayEquals(expected, numbers);
    }

    @Test
    void q4WithoutMinimum() {
        half(0, HALF);
        // Byte 3 is the fourth of the codes: number 3 in its low half, number 19 in its high one. Code 8 stands for 0.
        set(5, 0xf1);
        // 0.5 (1 - 8) = -3.5, 0.5 (15 - 8) = 3.5; codes 0 give 0.5 (0 - 8) = -4.
        assertNumbers(decoded(GgufType.Q4_0), -4, 3, -3.5, 19, 3.5);
    }

    @Test
    void q4WithMinimum() {
        half(0, HALF);
        half(2, MINUS_TWO);
        set(4 + 15, 0x3a);
        // Number 15: 0.5 * 10 - 2 = 3; number 31: 0.5 * 3 - 2 = -0.5.
        assertNumbers(decoded(GgufType.Q4_1), -2, 15, 3, 31, -0.5);
    }

    @Test
    void q5WithoutMinimum() {
        half(0, HALF);
        // The fifth bits of numbers 2 and 17: bit 2 of the first byte, bit 1 of the third.
        set(2, 0x04);
        set(4, 0x02);
        set(6 + 2, 0x07);
        set(6 + 1, 0x90);
        // Number 2: 0.5 (16 + 7 - 16) = 3.5; number 17: 0.5 (16 + 9 - 16) = 4.5; the rest 0.5 (0 - 16) = -8.
        assertNumbers(decoded(GgufType.Q5_0), -8, 2, 3.5, 17, 4.5);
    }

    @Test
    void q5WithMinimum() {
        half(0, QUARTER);
        half(2, MINUS_TWO);
        set(4 + 3, 0x80);
        set(8 + 15, 0xf1);
        // Number 31: 0.25 (16 + 15) - 2 = 5.75; number 15: 0.25 * 1 - 2 = -1.75.
        assertNumbers(decoded(GgufType.Q5_1), -2, 15, -1.75, 31, 5.75);
    }

    @Test
    void q8() {
        half(0, QUARTER);
        set(2, 127);
        set(2 + 31, -128);
        assertNumbers(decoded(GgufType.Q8_0), 0, 0, 31.75, 31, -32);
    }

    @Test
    void unevenQ4() {
        half(0, HALF);
        set(2 + 4, 0x8f);
        // Code 15 stands for 113, code 8 for 1, code 0 for -127.
        assertNumbers(decoded(GgufType.IQ4_NL), -63.5, 4, 56.5, 20, 0.5);
    }

    @Test
    void q2OfSixteenParts() {
        half(80, HALF);
        half(82, QUARTER);
        // Part 0 (numbers 0 to 15): scale 3, minimum 2. Part 9 (numbers 144 to 159): scale 15, minimum 0.
        set(0, 0x23);
        set(9, 0x0f);
        // Numbers 5, 37, 69 and 101 share byte 5, lowest bits first; codes 3, 0, 0, 0.
        set(16 + 5, 0x03);
        // Number 150 = 128 + 22 in byte 32 + 22, lowest bits: code 2. Number 182 = 150 + 32 beside it, of part 11,
        // which has scale 0.
        set(16 + 32 + 22, 0x0e);
        float[] numbers = decoded(GgufType.Q2_K);
        // Part 0: -0.25 * 2 = -0.5, and 0.5 * 3 * 3 - 0.5 = 4; part 9: 0.5 * 15 * 2 = 15.
        for (int j = 0; j < 256; j++) {
            assertEquals(j == 5 ? 4 : j < 16 ? -0.5 : j == 150 ? 15 : 0, numbers[j], "number " + j);
        }
    }

    @Test
    void q3OfSixteenParts() {
        half(108, HALF);
        // Scales of six bits, 32 taken away. Part 1: low bits 5 in the low half of byte 1, high bits 3 in the lowest
        // two of byte 9: 53 - 32 = 21.
        // Part 14: low bits 2 in the high half of byte 6, high bits 1 in the highest two of byte 10: 18 - 32 = -14. The
        // rest 0 - 32.
        set(96 + 1, 0x05);
        set(96 + 9, 0x03);
        set(96 + 6, 0x20);
        set(96 + 10, 0x40);
        // Number 20 in byte 20, lowest bits: 3; its high bit, bit 0 of byte 20 of the mask, is set: 3 + 4 - 4 = 3.
        set(32 + 20, 0x03);
        set(20, 0x01);
        // Number 227 = 128 + 99 in byte 32 + 3, bits 6 and 7: 1; its high bit, bit 7 of byte 3, is not set: 1 - 4 = -3.
        set(32 + 35, 0x40);
        float[] numbers = decoded(GgufType.Q3_K);
        // Part 1: 0.5 * 21 * 3 = 31.5 and 0.5 * 21 * -4 = -42; part 14: 0.5 * -14 * -3 = 21 and 28; the rest 0.5 * -32
        // * -4 = 64.
        for (int j = 0; j < 256; j++) {
            double expected = j == 20 ? 31.5 : j / 16 == 1 ? -42 : j == 227 ? 21 : j / 16 == 14 ? 28 : 64;
            assertEquals(expected, numbers[j], "number " + j);
        }
    }

    /** Parts 2 and 5 of eight: scales 33 and 50, minima 7 and 45. */
    private void sixBits() {
        half(0, HALF);
        half(2, QUARTER);
        // Part 2: its scale in byte 2, its minimum in byte 4 + 2, in the six low bits.
        set(4 + 2, 33);
        set(4 + 6, 7);
        // Part 5: the low halves 50 & 15 = 2 and 45 & 15 = 13 in byte 8 + 1, the high bits 3 and 2 on top of bytes 1
        // and 4 + 1.
        set(4 + 9, 0xd2);
        set(4 + 1, 0xc0);
        set(4 + 5, 0x80);
    }

    @Test
    void q4OfEightParts() {
        sixBits();
        // Numbers 64 + 7 and 96 + 7 share byte 32 + 7; numbers 128 + 31 and 160 + 31 share byte 64 + 31.
        set(16 + 39, 0x09);
        set(16 + 95, 0xf0);
        float[] numbers = decoded(GgufType.Q4_K);
        for (int j = 0; j < 256; j++) {
            double expected =
                    switch (j / 32) {
                        case 2 -> 0.5 * 33 * (j == 71 ? 9 : 0) - 0.25 * 7;
                        case 5 -> 0.5 * 50 * (j == 191 ? 15 : 0) - 0.25 * 45;
                        default -> 0;
                    };
            assertEquals(expected, numbers[j], "number " + j);
        }
    }

    @Test
    void q5OfEightParts() {
        sixBits();
        set(48 + 39, 0x09);
        set(48 + 95, 0xf0);
        // The fifth bits of part 5 are bits 5 of 32 bytes, those of part 2 bits 2.
        set(16 + 31, 0x20);
        set(16 + 8, 0x04);
        float[] numbers = decoded(GgufType.Q5_K);
        for (int j = 0; j < 256; j++) {
            double expected =
                    switch (j / 32) {
                        case 2 -> 0.5 * 33 * (j == 71 ? 9 : j == 72 ? 16 : 0) - 0.25 * 7;
                        case 5 -> 0.5 * 50 * (j == 191 ? 31 : 0) - 0.25 * 45;
                        default -> 0;
                    };
            assertEquals(expected, numbers[j], "number " + j);
        }
    }

    @Test
    void q6OfSixteenParts() {
        half(208, HALF);
        set(192, 3);
        set(192 + 15, -128);
        // Number 1: low half of byte 1, 13; bits 0 and 1 of the high byte 1, 2: 2 * 16 + 13 - 32 = 13.
        set(1, 0x0d);
        set(128 + 1, 0x02);
        // Number 255 = 128 + 96 + 31: high half of byte 64 + 32 + 31, 15; bits 6 and 7 of the high byte 32 + 31, 3: 63
        // - 32 = 31.
        set(127, 0xf0);
        set(128 + 63, 0xc0);
        float[] numbers = decoded(GgufType.Q6_K);
        for (int j = 0; j < 256; j++) {
            double expected =
                    j == 1 ? 0.5 * 3 * 13 : j == 255 ? 0.5 * -128 * 31 : 0.5 * (j < 16 ? 3 : j >= 240 ? -128 : 0) * -32;
            assertEquals(expected + 0.0, numbers[j] + 0.0, "number " + j);
        }
    }

    @Test
    void minusZeroStays() {
        half(0, MINUS_TWO);
        assertEquals(Float.floatToRawIntBits(-0f), Float.floatToRawIntBits(decoded(GgufType.Q8_0)[0]));
        half(2, 0);
        assertEquals(0, Float.floatToRawIntBits(decoded(GgufType.Q4_1)[0]));
    }

    /** Every bit of a block but those of d and dmin belongs to one code or scale: writing what was read gives the same bytes. */
    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})
    void writesWhatItReads(GgufType type) {
        RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(16);
        BlockLayout layout = BlockLayout.of(type).orElseThrow();
        byte[] bytes = new byte[type.blockBytes()];
        random.nextBytes(bytes);
        int[] codes = new int[type.blockElements()];
        layout.codes().forEach(field -> field.read(bytes, codes));
        int[] scales = new int[2 * layout.parts()];
        layout.scales().forEach(field -> field.read(bytes, scales));
        assertTrue(Arrays.stream(codes).allMatch(code -> code >= 0 && code < layout.values().length));

        byte[] written = new byte[bytes.length];
        float d = Float.float16ToFloat((short) 0x1234);
        layout.encode(codes, d, -d, scales, MemorySegment.ofArray(written), 0);
        byte[] expected = bytes.clone();
        expected[layout.dAt()] = 0x34;
        expected[layout.dAt() + 1] = 0x12;
        if (layout.leastAt() >= 0) {
            expected[layout.leastAt()] = 0x34;
            expected[layout.leastAt() + 1] = (byte) 0x92;
        }
        assertArrayEquals(expected, written);
    }
}
