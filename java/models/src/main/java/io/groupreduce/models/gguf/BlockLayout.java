package io.groupreduce.models.gguf;

import static io.groupreduce.models.gguf.BitField.whole;

import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * How the bytes of a block become numbers, for every quantised type that is read: a table of the layouts in ggml-common.h of the ggml project. A
 * block has parts of equal length; number j of part p is {@code (d scale_p) value(code_j) - dmin least_p}, in binary32. The product d scale_p value
 * is exact, so what is computed in another order, or with fused operations, is the same to the last bit.
 *
 * @param part numbers that share a scale
 * @param values what codes stand for, by code
 * @param codes where codes are
 * @param dAt the byte of d, a binary16
 * @param leastAt the byte of dmin; -1 where there is none
 * @param scales where the whole numbers scale_p and least_p are; empty where scale_p is 1 and least_p is -1
 * @param zero is taken from every scale_p
 * @param scaleOf which of these numbers is scale_p
 * @param leastOf which is least_p; empty for none
 */
record BlockLayout(
        GgufType type,
        int part,
        int[] values,
        List<BitField> codes,
        int dAt,
        int leastAt,
        List<BitField> scales,
        int zero,
        int[] scaleOf,
        int[] leastOf) {
    private static final int NONE = -1;
    private static final int[] NO_NUMBERS = {};

    /** Bytes in two's complement. */
    private static final int[] SIGNED =
            IntStream.range(0, 256).map(code -> (byte) code).toArray();

    /** Narrower steps about zero; kvalues_iq4nl of ggml-common.h. */
    private static final int[] UNEVEN = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

    private static final BlockLayout[] ALL = {
        single(GgufType.Q4_0, from(-8, 4), NONE, whole(32, 2, 4, 16, 0)),
        single(GgufType.Q4_1, from(0, 4), 2, whole(32, 4, 4, 16, 0)),
        single(GgufType.Q5_0, from(-16, 5), NONE, whole(32, 6, 4, 16, 0), whole(32, 2, 1, 1, 4)),
        single(GgufType.Q5_1, from(0, 5), 2, whole(32, 8, 4, 16, 0), whole(32, 4, 1, 1, 4)),
        single(GgufType.Q8_0, SIGNED, NONE, whole(32, 2, 8, 32, 0)),
        single(GgufType.IQ4_NL, UNEVEN, NONE, whole(32, 2, 4, 16, 0)),
        new BlockLayout(
                GgufType.Q2_K,
                16,
                from(0, 2),
                List.of(whole(256, 16, 2, 32, 0)),
                80,
                82,
                List.of(whole(32, 0, 4, 16, 0)),
                0,
                IntStream.range(0, 16).toArray(),
                IntStream.range(16, 32).toArray()),
        new BlockLayout(
                GgufType.Q3_K,
                16,
                from(-4, 3),
                List.of(whole(256, 32, 2, 32, 0), whole(256, 0, 1, 32, 2)),
                108,
                NONE,
                List.of(whole(16, 96, 4, 8, 0), whole(16, 104, 2, 4, 4)),
                32,
                IntStream.range(0, 16).toArray(),
                NO_NUMBERS),
        sixBits(GgufType.Q4_K, from(0, 4), whole(256, 16, 4, 32, 0)),
        sixBits(GgufType.Q5_K, from(0, 5), whole(256, 48, 4, 32, 0), whole(256, 16, 1, 32, 4)),
        new BlockLayout(
                GgufType.Q6_K,
                16,
                from(-32, 6),
                List.of(whole(256, 0, 4, 64, 0), whole(256, 128, 2, 32, 4)),
                208,
                NONE,
                List.of(whole(16, 192, 8, 16, 0)),
                0,
                IntStream.range(0, 16).toArray(),
                NO_NUMBERS),
    };

    private static int[] from(int lowest, int bits) {
        return IntStream.range(0, 1 << bits).map(code -> code + lowest).toArray();
    }

    /** One scale, of the whole block. */
    private static BlockLayout single(GgufType type, int[] values, int leastAt, BitField... codes) {
        return new BlockLayout(
                type, type.blockElements(), values, List.of(codes), 0, leastAt, List.of(), 0, NO_NUMBERS, NO_NUMBERS);
    }

    /**
     * Eight scales and eight minima of six bits in twelve bytes: those of the first four parts in the low bits of eight bytes, those of the
     * others in the four bytes behind them and in the high bits of the eight.
     */
    private static BlockLayout sixBits(GgufType type, int[] values, BitField... codes) {
        List<BitField> scales = List.of(
                new BitField(0, 8, 4, 6, 8, 1, 0, 0),
                new BitField(8, 8, 12, 4, 4, 2, 0, 0),
                new BitField(8, 8, 4, 2, 8, 1, 4, 6));
        int[] scaleOf = {0, 1, 2, 3, 8, 9, 10, 11};
        int[] leastOf = {4, 5, 6, 7, 12, 13, 14, 15};
        return new BlockLayout(type, 32, values, List.of(codes), 0, 2, scales, 0, scaleOf, leastOf);
    }

    /** The layout of a type, if it has blocks that can be read. */
    static Optional<BlockLayout> of(GgufType type) {
        return Arrays.stream(ALL).filter(layout -> layout.type == type).findFirst();
    }

    /** Parts of a block. */
    int parts() {
        return type.blockElements() / part;
    }

    /** Reads whole blocks from {@code at} on: {@code count} numbers. */
    void decode(MemorySegment data, long at, float[] numbers, int offset, int count) {
        byte[] block = new byte[type.blockBytes()];
        int[] code = new int[type.blockElements()];
        int[] small = new int[2 * parts()];
        for (int first = 0; first < count; first += code.length) {
            MemorySegment.copy(data, ValueLayout.JAVA_BYTE, at + type.bytes(first), block, 0, block.length);
            Arrays.fill(code, 0);
            codes.forEach(field -> field.read(block, code));
            Arrays.fill(small, 0);
            scales.forEach(field -> field.read(block, small));
            float d = half(block, dAt);
            for (int p = 0; p < parts(); p++) {
                float scale = d * scale(small, p);
                // Without minima a product of -0 stays what it is.
                float least = leastAt < 0 ? 0 : half(block, leastAt) * least(small, p);
                int to = offset + first + p * part;
                for (int j = 0; j < part; j++) {
                    numbers[to + j] = scale * values[code[p * part + j]] - least;
                }
            }
        }
    }

    /** The whole number of a part. */
    int scale(int[] small, int p) {
        if (scaleOf.length == 0) {
            return 1;
        }
        int stored = small[scaleOf[p]];
        return type == GgufType.Q6_K ? (byte) stored : stored - zero;
    }

    /** The whole number of the minimum of a part. */
    int least(int[] small, int p) {
        return leastOf.length == 0 ? -1 : small[leastOf[p]];
    }

    private static float half(byte[] block, int at) {
        return Float.float16ToFloat((short) (block[at] & 0xff | block[at + 1] << 8));
    }

    /**
     * Writes a block.
     *
     * @param small the whole numbers, where there are such, as {@link #scaleOf} and {@link #leastOf} name them and with {@link #zero} added
     */
    void encode(int[] code, float d, float dLeast, int[] small, MemorySegment data, long at) {
        byte[] block = new byte[type.blockBytes()];
        codes.forEach(field -> field.write(code, block));
        scales.forEach(field -> field.write(small, block));
        MemorySegment.copy(block, 0, data, ValueLayout.JAVA_BYTE, at, block.length);
        data.set(LittleEndian.I16, at + dAt, Float.floatToFloat16(d));
        if (leastAt >= 0) {
            data.set(LittleEndian.I16, at + leastAt, Float.floatToFloat16(dLeast));
        }
    }
}
