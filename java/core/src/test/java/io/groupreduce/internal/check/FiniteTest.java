package io.groupreduce.internal.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class FiniteTest {
    /** Every 16-bit pattern in both halves of a word, beside the pattern that is most likely to carry. */
    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16"})
    void judgesEvery16BitPattern(DType type) {
        int largest = type == DType.F16 ? 0xfbff : 0xff7f;
        for (int pattern = 0; pattern < 0x10000; pattern++) {
            float value =
                    type == DType.F16 ? Float.float16ToFloat((short) pattern) : Float.intBitsToFloat(pattern << 16);
            for (int place = 0; place < 2; place++) {
                short[] pair = {(short) largest, (short) largest};
                pair[place] = (short) pattern;
                Matrix matrix = Matrix.of("m", type, 1, 2, MemorySegment.ofArray(pair));
                assertEquals(Float.isFinite(value) ? -1 : place, Finite.firstNot(matrix));
            }
        }
    }

    @Test
    void judgesBinary32AtTheEdges() {
        int[] finite = {0, 0x80000000, 1, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x807fffff};
        for (int bits : finite) {
            assertEquals(-1, Finite.firstNot(single(bits)), Integer.toHexString(bits));
        }
        int[] bad = {0x7f800000, 0xff800000, 0x7f800001, 0x7fc00000, 0x7fffffff, 0xffffffff};
        for (int bits : bad) {
            assertEquals(0, Finite.firstNot(single(bits)), Integer.toHexString(bits));
        }
    }

    private static Matrix single(int bits) {
        return Matrix.of("m", DType.F32, 1, 1, MemorySegment.ofArray(new int[] {bits}));
    }

    /** Sizes around the block of 4096 words, a bad number at either end of each, and behind an odd tail. */
    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "F16", "BF16"})
    void findsTheFirstBadNumberWhereverItIs(DType type) {
        for (int n : new int[] {1, 2, 3, 4095, 4096, 4097, 8191, 8192, 8193, 12289}) {
            for (int at : new int[] {0, n / 2, n - 2, n - 1}) {
                byte[] data = new byte[n * type.bytes()];
                new Random(n).nextBytes(data);
                for (int i = 0; i < n; i++) {
                    data[(i + 1) * type.bytes() - 1] &= 0x3b; // clears an exponent bit of every type
                }
                Matrix matrix = Matrix.of("m", type, 1, n, MemorySegment.ofArray(data));
                assertEquals(-1, Finite.firstNot(matrix));
                int from = Math.max(0, at);
                Arrays.fill(data, from * type.bytes(), data.length, (byte) 0xff);
                assertEquals(from, Finite.firstNot(matrix), type + " " + n + " " + at);
            }
        }
    }

    @Test
    void namesTensorRowAndColumn() {
        float[] values = new float[12];
        values[7] = Float.NEGATIVE_INFINITY;
        values[9] = Float.NaN;
        assertRefused(values, "m.safetensors: tensor \"w\" holds -Infinity in row 1, column 3;");
        values[7] = 0;
        assertRefused(values, "m.safetensors: tensor \"w\" holds NaN in row 2, column 1;");
    }

    private static void assertRefused(float[] values, String words) {
        Matrix matrix = Matrix.of("m.safetensors: tensor \"w\"", values, 3, 4);
        String message = assertThrows(InvalidDataException.class, () -> Finite.require(matrix))
                .getMessage();
        assertTrue(message.startsWith(words), message);
    }

    @Test
    void severalThreadsNameTheFirstToo() {
        // Three pieces, the last one short; the later ones are looked at first.
        int rows = 9000;
        int columns = 1001;
        float[] values = new float[rows * columns];
        Matrix matrix = Matrix.of("m", values, rows, columns);
        Parallel backwards = (tasks, task) -> IntStream.range(0, tasks).forEach(t -> task.accept(tasks - 1 - t));
        Finite.require(matrix, backwards);
        for (int row : new int[] {rows - 1, 4190, 4189, 0}) {
            values[row * columns + 5] = Float.NaN;
            String message = assertThrows(InvalidDataException.class, () -> Finite.require(matrix, backwards))
                    .getMessage();
            assertTrue(message.startsWith("m holds NaN in row " + row + ", column 5;"), message);
        }
    }

    @Test
    void theFirstNumberBeyondABoundIsFound() {
        float[] values = {1, -2, 3, -4, Float.NaN};
        assertEquals(-1, Finite.firstBeyond(values, 0, 4, 4));
        assertEquals(3, Finite.firstBeyond(values, 0, 4, Math.nextDown(4f)));
        assertEquals(1, Finite.firstBeyond(values, 1, 4, 0));
        assertEquals(4, Finite.firstBeyond(values, 0, 5, Float.MAX_VALUE));
    }

    @Test
    void theLargestMagnitudeIsThatOfAnyPlace() {
        for (int n : new int[] {1, 2, 7, 9001}) {
            for (int at : new int[] {0, n / 2, n - 1}) {
                float[] values = new float[n];
                values[at] = -2.5f;
                short[] halves = new short[n];
                halves[at] = Bf16.round(-2.5f);
                Matrix wide = Matrix.of("wide", values, 1, n);
                Matrix narrow = Matrix.of("narrow", DType.BF16, 1, n, MemorySegment.ofArray(halves));
                assertEquals(2.5f, Finite.requireLargest(wide), n + " " + at);
                assertEquals(2.5f, Finite.requireLargest(narrow), n + " " + at);
                values[at] = Float.NEGATIVE_INFINITY;
                halves[at] = Bf16.round(Float.NaN);
                assertThrows(InvalidDataException.class, () -> Finite.requireLargest(wide));
                assertThrows(InvalidDataException.class, () -> Finite.requireLargest(narrow));
            }
        }
    }
}
