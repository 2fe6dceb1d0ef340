package io.groupreduce.matrix;

/** bfloat16: the sign, the 8 exponent bits and the 7 leading fraction bits of a binary32. */
public final class Bf16 {
    private Bf16() {}

    /** The nearest bfloat16 of a finite number, ties to even. */
    public static short round(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }

    /** The smallest bfloat16 that is not below {@code value}, for {@code value >= 0} and finite. */
    public static short roundUp(float value) {
        return (short) ((Float.floatToRawIntBits(value) + 0xffff) >>> 16);
    }

    /** The binary32 that a bfloat16 stands for, exactly. */
    public static float widen(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }
}
