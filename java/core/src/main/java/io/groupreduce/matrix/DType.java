package io.groupreduce.matrix;

import java.util.Arrays;
import java.util.Optional;

/** The element types a safetensors header can name. Only F32, F16 and BF16 can be compressed; all can be copied through. */
public enum DType {
    BOOL(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E5M2FNUZ(8),
    F8_E4M3FNUZ(8),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private final int bits;

    DType(int bits) {
        this.bits = bits;
    }

    /** Bits of one element; less than 8 for the packed types F4 and F6. */
    public int bits() {
        return bits;
    }

    /** Bytes of one element; 0 for the packed types, whose elements share bytes. */
    public int bytes() {
        return bits / 8;
    }

    /** Whether elements are floating-point numbers that can be read as binary32 without loss: F32, F16, BF16. */
    public boolean compressible() {
        return this == F32 || this == F16 || this == BF16;
    }

    /** Why a type that is not {@link #compressible} is of no use, and what to do, to follow its name. */
    public String advice() {
        return switch (this) {
            case F64 -> "(64-bit floats); save it as F32";
            case C64, BOOL -> "; F32, F16 or BF16 is needed";
            case F4, F6_E2M3, F6_E3M2, F8_E5M2, F8_E4M3, F8_E8M0, F8_E5M2FNUZ, F8_E4M3FNUZ ->
                "(floats of " + bits
                        + " bits, whose scales lie elsewhere); F32, F16 or BF16 is needed: start from the model"
                        + " before it was quantized";
            default ->
                "(whole numbers, as packed codes are); F32, F16 or BF16 is needed: start from the model before it was"
                        + " quantized";
        };
    }

    /** The type with this name in a header, if it is known. */
    public static Optional<DType> parse(String name) {
        return Arrays.stream(values()).filter(t -> t.name().equals(name)).findFirst();
    }
}
