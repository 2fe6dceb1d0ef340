package io.groupreduce.matrix;

import java.util.Locale;

/** A way to store numbers that are all as wide as each other: a {@link BitProfile} of one width. */
public enum Codec {
    /** IEEE 754 binary32, exact. */
    F32(32),
    /** bfloat16: the upper half of a binary32, rounded to nearest even. */
    BF16(16),
    /** Codes of 8 bits, with a scale per row, or per block of a row. */
    INT8(8),
    /** Codes of 6 bits, with a scale per row, or per block of a row. */
    INT6(6),
    /** Codes of 4 bits, with a scale per row, or per block of a row. */
    INT4(4),
    /** Codes of 3 bits, with a scale per row, or per block of a row. */
    INT3(3);

    private final int bits;

    Codec(int bits) {
        this.bits = bits;
    }

    /** Bits of one stored number, without its share of a scale. */
    public int bits() {
        return bits;
    }

    /** Whether numbers are codes that a stored scale multiplies. */
    public boolean scaled() {
        return bits <= CodeValues.MOST_BITS;
    }

    /** The name used on the command line: {@code f32}, {@code bf16}, {@code int8}, {@code int6}, {@code int4}, {@code int3}. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
