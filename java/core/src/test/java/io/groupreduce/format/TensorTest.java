package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static io.groupreduce.format.FormatFixtures.i32;
import static io.groupreduce.format.FormatFixtures.i64;
import static io.groupreduce.format.FormatFixtures.matrix;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class TensorTest {
    private static Tensor bytes(DType type, long[] shape, int... bytes) {
        byte[] data = new byte[bytes.length];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) bytes[i];
        }
        return new Tensor("t", type, shape, MemorySegment.ofArray(data));
    }

    @Test
    void readsEveryFloatTypeExactly() {
        assertArrayEquals(
                new float[] {1.25f, -0f}, f32("t", new long[] {2}, 1.25f, -0f).floats());
        long[] two = {2};
        assertArrayEquals(
                new float[] {1.5f, 0x1p-24f},
                bytes(DType.F16, two, 0x00, 0x3e, 0x01, 0x00).floats());
        assertArrayEquals(
                new float[] {1.5f, -2f},
                bytes(DType.BF16, two, 0xc0, 0x3f, 0x00, 0xc0).floats());
        assertFails(InvalidDataException.class, () -> i32("t", 1).floats(), "\"t\"", "I32", "F32, F16 or BF16");
    }

    @Test
    void readsIntegersThatFit() {
        assertArrayEquals(
                new int[] {-1, Integer.MAX_VALUE},
                i32("t", -1, Integer.MAX_VALUE).ints());
        assertArrayEquals(
                new int[] {-1, Integer.MIN_VALUE},
                i64("t", -1, Integer.MIN_VALUE).ints());
        assertFails(InvalidDataException.class, () -> i64("t", 0, 1L << 31).ints(), "\"t\"", "2147483648", "index 1");
        assertFails(
                InvalidDataException.class, () -> f32("t", new long[] {1}, 1f).ints(), "\"t\"", "F32", "I32 or I64");
    }

    @Test
    void isAMatrixWithTwoSides() {
        Matrix matrix = matrix("w", 2, 3, 1f).matrix("m.safetensors");
        float[] row = new float[3];
        matrix.readRow(1, row, 0);
        assertArrayEquals(new float[] {4f, 5f, 6f}, row);
        assertEquals("m.safetensors: tensor \"w\"", matrix.name());
        assertFails(
                InvalidDataException.class,
                () -> f32("v", new long[] {3}, 1, 2, 3).matrix("m.safetensors"),
                "m.safetensors",
                "\"v\"",
                "[3]");
        assertFails(
                InvalidDataException.class,
                () -> bytes(DType.U8, new long[] {1, 2}, 1, 2).matrix("m.safetensors"),
                "m.safetensors",
                "\"t\"",
                "U8");
        assertFails(
                InvalidDataException.class,
                () -> bytes(DType.F32, new long[] {0, 2}).matrix("m.safetensors"),
                "[0, 2]");
    }

    @Test
    void countsElementsAndBytes() {
        Tensor packed = bytes(DType.F6_E2M3, new long[] {2, 4}, 1, 2, 3, 4, 5, 6);
        assertEquals(8, packed.elements());
        assertEquals(6, packed.bytes());
        assertEquals(1, bytes(DType.U8, new long[] {}, 1).elements());
    }

    @Test
    void numbersOfATypeOfTheFilesOwnAreMadeWhenTheyAreAskedFor() {
        AtomicInteger asked = new AtomicInteger();
        MemorySegment numbers = f32("t", new long[] {4}, 1, 2, 3, 4).data();
        Tensor tensor = Tensor.decoded("t", DType.F32, new long[] {2, 2}, "Q4_0", 3, () -> {
            asked.incrementAndGet();
            return numbers;
        });
        assertEquals(16, tensor.bytes());
        assertEquals(3, tensor.storedBytes());
        assertEquals("Q4_0", tensor.storedType());
        assertEquals(0, asked.get());
        Matrix matrix = tensor.matrix("file");
        assertEquals(1, asked.get());
        assertEquals("Q4_0", matrix.storedType());
        assertEquals(3, matrix.ofTensor("other").storedBytes());
        assertEquals(16, matrix.bytes());
    }

    @Test
    void ownsItsShape() {
        long[] shape = {2};
        Tensor tensor = f32("t", shape, 1, 2);
        shape[0] = 7;
        tensor.shape()[0] = 8;
        assertArrayEquals(new long[] {2}, tensor.shape());
    }

    @Test
    void refusesBytesThatDoNotFit() {
        assertFails(
                InvalidDataException.class, () -> bytes(DType.F32, new long[] {1}, 1, 2), "\"t\"", "needs 4", "has 2");
        assertFails(InvalidDataException.class, () -> bytes(DType.U8, new long[] {-1}), "\"t\"", "[-1]");
        assertFails(
                InvalidDataException.class, () -> bytes(DType.U8, new long[] {1L << 40, 1L << 40}), "1099511627776");
        assertFails(InvalidDataException.class, () -> bytes(DType.F4, new long[] {1}, 1), "\"t\"", "whole bytes");
    }
}
