package io.groupreduce.cuda.driver;

import java.lang.foreign.MemorySegment;

/** The kernel that gives its parameters back: what it must write, and how it is started. */
final class ParameterEcho {
    static final String NAME = "gr_parameter_echo";
    static final double REAL = -1.25e300;
    static final float SINGLE = 0.1f;
    static final long WIDE = 1L << 52 | 1;
    static final int LAST = -7;

    private ParameterEcho() {}

    static int bytes(int count) {
        return (4 + count) * Double.BYTES;
    }

    static Parameters parameters(DeviceMemory out, int count) {
        return new Parameters(64)
                .i32(count)
                .f64(REAL)
                .f32(SINGLE)
                .i64(WIDE)
                .i32(LAST)
                .address(out.address());
    }

    static void launch(Device device, DeviceMemory out, int count) {
        device.kernel(NAME).launch(device.stream(), 1, 1, 256, count * Double.BYTES, parameters(out, count));
    }

    static double[] expected(int count) {
        double[] values = new double[4 + count];
        values[0] = REAL;
        values[1] = SINGLE;
        values[2] = WIDE;
        values[3] = LAST;
        for (int i = 0; i < count; i++) {
            values[4 + i] = i;
        }
        return values;
    }

    static double[] read(Device device, DeviceMemory out, int count) {
        double[] values = new double[4 + count];
        device.download(out, 0, MemorySegment.ofArray(values));
        return values;
    }
}
