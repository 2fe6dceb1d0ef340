package io.groupreduce.matrix;

import java.util.Locale;

/** How the numbers of a factor are stored. */
public enum Codec {
    /** IEEE 754 binary32, exact. */
    F32(32, DType.F32),
    /** bfloat16: the upper half of a binary32, rounded to nearest even. */
    BF16(16, DType.BF16),
    /** Signed integers -127..127 with a scale per row, or per block of a row. */
    INT8(8, DType.I8),
    /** Signed integers -7..7, two to a byte, with a scale per row, or per block of a row. */
    INT4(4, DType.U8),
    /**
     * Signed integers -3..3 with a scale per row, or per block of a row. Number j of a row is stored plus 4 in bits 3j to 3j + 2
     * of the row, where bit 0 is the lowest of the first byte; the bits left over at the end of the row are 0.
     */
    INT3(3, DType.U8);

    private final int bits;
    private final DType type;

    Codec(int bits, DType type) {
        this.bits = bits;
        this.type = type;
    }

    /** Bits of one stored number, without its share of a scale. */
    public int bits() {
        return bits;
    }

    /** Whether numbers are integers that a stored scale multiplies. */
    public boolean scaled() {
        return bits <= 8;
    }

    /** What a row consists of in a file: its numbers, or bytes where they share some. */
    public DType type() {
        return type;
    }

    /** The largest integer a scaled codec stores: 127, 7 or 3. */
    public int maxInteger() {
        return (1 << (bits - 1)) - 1;
    }

    /** Bytes of one stored row of {@code width} numbers, scales not counted; a row ends with a whole byte. */
    public long rowBytes(long width) {
        return (width * bits + 7) / 8;
    }

    /**
     * The name used on the command line and in the metadata: {@code f32}, {@code bf16}, {@code int8}, {@code int4}, {@code
     * int3}.
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
