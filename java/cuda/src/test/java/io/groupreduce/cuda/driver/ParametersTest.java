package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

class ParametersTest {
    @Test
    void laysFieldsOutAsCDoes() {
        Parameters parameters = new Parameters(64)
                .i32(1)
                .f64(2.5)
                .f32(3.5f)
                .i64(-4)
                .i32(5)
                .address(0xABCDL)
                .i32(6);
        byte[] expected = new byte[56];
        ByteBuffer.wrap(expected)
                .order(ByteOrder.nativeOrder())
                .putInt(0, 1)
                .putDouble(8, 2.5)
                .putFloat(16, 3.5f)
                .putLong(24, -4)
                .putInt(32, 5)
                .putLong(40, 0xABCDL)
                .putInt(48, 6);
        assertEquals(56, parameters.bytes());
        assertArrayEquals(expected, block(parameters));
    }

    @Test
    void padsToTheWidestFieldOnly() {
        assertEquals(12, new Parameters(12).i32(1).i32(2).f32(3).bytes());
        assertEquals(16, new Parameters(16).i64(1).i32(2).bytes());
    }

    @Test
    void startsOver() {
        Parameters parameters = new Parameters(16).i64(-1).i64(-1).reset().i32(7);
        assertEquals(4, parameters.bytes());
        assertArrayEquals(new byte[] {7, 0, 0, 0}, block(parameters));
    }

    @Test
    void refusesMoreThanItsCapacity() {
        Parameters parameters = new Parameters(8).i64(1);
        assertThrows(IndexOutOfBoundsException.class, () -> parameters.i32(1));
    }

    /** Reads the structure where the driver would. */
    @SuppressWarnings("restricted")
    private static byte[] block(Parameters parameters) {
        MemorySegment extra = parameters.extra();
        long bytes = MemorySegment.ofAddress(extra.getAtIndex(ValueLayout.JAVA_LONG, 3))
                .reinterpret(8)
                .get(ValueLayout.JAVA_LONG, 0);
        return MemorySegment.ofAddress(extra.getAtIndex(ValueLayout.JAVA_LONG, 1))
                .reinterpret(bytes)
                .toArray(ValueLayout.JAVA_BYTE);
    }
}
