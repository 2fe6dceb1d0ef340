package io.groupreduce.matrix;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** How the scales of codes are stored. A scale is never negative. */
public enum ScaleFormat {
    /** IEEE 754 binary32, exact. */
    F32(DType.F32),
    /** bfloat16. */
    BF16(DType.BF16),
    /**
     * One byte u on a logarithmic grid: 0 for u = 0, else {@code 2^((u - 192) / 8)}, so steps of an eighth of an octave from
     * 2^-23.875 to 2^7.875.
     */
    LOG8(DType.U8);

    /** The scale of every byte of {@link #LOG8}, ascending. */
    private static final float[] LOG8_SCALES = makeLog8Scales();

    private final DType type;

    ScaleFormat(DType type) {
        this.type = type;
    }

    private static float[] makeLog8Scales() {
        float[] scales = new float[256];
        for (int u = 1; u < scales.length; u++) {
            scales[u] = (float) Math.pow(2, (u - 192) / 8.0);
        }
        return scales;
    }

    /** Bytes of one stored scale. */
    public int bytes() {
        return type.bytes();
    }

    /** What a scale is in a file. */
    public DType type() {
        return type;
    }

    /** The scale that a byte of {@link #LOG8} stands for, {@code code} from 0 to 255. */
    public static float log8(int code) {
        return LOG8_SCALES[code];
    }

    /** The scales of all bytes of {@link #LOG8}, ascending: 256 numbers that are the caller's. */
    public static float[] log8Scales() {
        return LOG8_SCALES.clone();
    }

    /** The byte of {@link #LOG8}, 0 to 255, with the smallest scale not below {@code scale >= 0}, or 255 above all of them. */
    public static int log8AtLeast(float scale) {
        if (scale <= LOG8_SCALES[1]) {
            return scale > 0 ? 1 : 0;
        }
        int bits = Float.floatToRawIntBits(scale);
        // The logarithm of a mantissa is at least what it would be along a straight line; where it is more it takes a
        // step or two.
        int code = Math.min(8 * (bits >>> 23) - 8 * 127 + 192 + (bits >>> 20 & 7), LOG8_SCALES.length - 1);
        while (code < LOG8_SCALES.length - 1 && LOG8_SCALES[code] < scale) {
            code++;
        }
        return code;
    }

    /**
     * The smallest scale of this format not below {@code scale >= 0}; the largest one where there is none. 0 where that would be subnormal:
     * such a scale may have no inverse, and rows so small lose nothing as zeros.
     */
    public float atLeast(float scale) {
        float found =
                switch (this) {
                    case F32 -> scale;
                    case BF16 -> Bf16.widen(Bf16.roundUp(scale));
                    case LOG8 -> log8(log8AtLeast(scale));
                };
        return found < Float.MIN_NORMAL ? 0 : found;
    }

    /** Stores a scale that this format holds exactly as number {@code index}. */
    void store(MemorySegment scales, long index, float scale) {
        switch (this) {
            case F32 -> scales.set(LittleEndian.F32, index * Float.BYTES, scale);
            case BF16 -> scales.set(LittleEndian.I16, index * Short.BYTES, Bf16.round(scale));
            case LOG8 -> scales.set(ValueLayout.JAVA_BYTE, index, (byte) log8AtLeast(scale));
        }
    }

    /** Number {@code index} of stored scales. */
    float load(MemorySegment scales, long index) {
        return switch (this) {
            case F32 -> scales.get(LittleEndian.F32, index * Float.BYTES);
            case BF16 -> Bf16.widen(scales.get(LittleEndian.I16, index * Short.BYTES));
            case LOG8 -> log8(scales.get(ValueLayout.JAVA_BYTE, index) & 0xff);
        };
    }
}
