package io.groupreduce.matrix;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** How the scales of a scaled {@link Codec} are stored. A scale is never negative. */
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
    static int log8AtLeast(float scale) {
        int found = Arrays.binarySearch(LOG8_SCALES, scale);
        return found >= 0 ? found : Math.min(-found - 1, LOG8_SCALES.length - 1);
    }

    /** The smallest scale of this format not below {@code scale >= 0}; the largest one where there is none. */
    float atLeast(float scale) {
        return switch (this) {
            case F32 -> scale;
            case BF16 -> Bf16.widen(Bf16.roundUp(scale));
            case LOG8 -> log8(log8AtLeast(scale));
        };
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
