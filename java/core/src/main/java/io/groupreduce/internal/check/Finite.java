package io.groupreduce.internal.check;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Finds NaN and infinity: adding one unit of the exponent to a magnitude carries into the sign bit exactly then. */
public final class Finite {
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int MAGNITUDE = 0x7fffffff;
    private static final int UNIT = 0x00800000;

    private Finite() {}

    /** The index of the first number of {@code values[from .. to)} that is NaN or infinite, or -1. */
    public static int firstNot(float[] values, int from, int to) {
        int carries = 0;
        for (int i = from; i < to; i++) {
            carries |= (Float.floatToRawIntBits(values[i]) & MAGNITUDE) + UNIT;
        }
        for (int i = from; i < to && carries < 0; i++) {
            if (!Float.isFinite(values[i])) {
                return i;
            }
        }
        return -1;
    }

    /** The same for the first {@code count} floats of a segment, in the machine's byte order. */
    public static long firstNot(MemorySegment values, long count) {
        int carries = 0;
        for (long i = 0; i < count; i++) {
            carries |= (values.get(I32, i * Float.BYTES) & MAGNITUDE) + UNIT;
        }
        for (long i = 0; i < count && carries < 0; i++) {
            if ((values.get(I32, i * Float.BYTES) & MAGNITUDE) + UNIT < 0) {
                return i;
            }
        }
        return -1;
    }
}
