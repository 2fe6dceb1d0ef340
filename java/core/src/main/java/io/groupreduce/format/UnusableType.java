package io.groupreduce.format;

import java.util.Set;

/** Why a matrix of a type other than F32, F16 and BF16 is not compressed. Codes are no numbers, so no cast is advised for them. */
final class UnusableType {
    private UnusableType() {}

    /** Words to go after the tensor's name; {@code null} if its type can be compressed. {@code names}: all tensors of the model. */
    static String of(Tensor tensor, Set<String> names) {
        return switch (tensor.type()) {
            case F32, F16, BF16 -> null;
            case F64 -> "has type F64; convert it to F32, F16 or BF16 first";
            case F8_E4M3, F8_E5M2, F8_E4M3FNUZ, F8_E5M2FNUZ, F8_E8M0, F6_E2M3, F6_E3M2, F4 ->
                "is stored quantised (" + tensor.type()
                        + ", which means nothing without its scales); start from the unquantised model";
            case U8, I8, U16, I16, U32, I32 ->
                "is stored quantised (codes of type " + tensor.type() + maker(tensor.name(), names)
                        + "); start from the unquantised model";
            default -> "has type " + tensor.type() + ", which no vocabulary matrix has";
        };
    }

    /** Which software packs codes that way, by what it stores beside them. */
    private static String maker(String codes, Set<String> names) {
        String stem = codes.replaceFirst("\\.weight$", "");
        if (names.contains(codes + ".absmax") || names.contains(stem + ".SCB")) {
            return ", bitsandbytes";
        }
        return names.contains(stem + ".biases") ? ", MLX" : "";
    }
}
