package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.Codec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * How the stored numbers of a tile lie in memory once a head is loaded. A tile is {@link #TILE} rows of a group, four vectors of lanes;
 * a row keeps its lane, and directions follow one another:
 *
 * <pre>
 * F32    a direction: TILE floats
 * BF16   a direction: TILE bfloat16
 * INT8   a direction: TILE signed bytes
 * INT4   two directions: TILE signed bytes, the first number plus 16 times the second; INT3 is kept like this too
 * </pre>
 *
 * <p>So the sum over directions of a row stays in its lane, with no sum across lanes; a coordinate of the hidden state is one
 * broadcast for four vectors; and after some directions the sums so far can be looked at for the price of a compare. A file's rows
 * lie one behind the other instead: then INT4 was read at 0.37 of the memory's speed, and like this at 0.47.
 */
final class Codes {
    /** Rows of a tile. */
    static final int TILE = 4 * LANES;

    static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;

    /** As many bytes as a float vector has lanes, or the fewest that a vector can have. */
    static final VectorSpecies<Byte> BYTES = narrow(byte.class, Byte.SIZE);

    /** Likewise shorts. */
    static final VectorSpecies<Short> SHORTS = narrow(short.class, Short.SIZE);

    /** Bytes behind the last tile that a load may touch. */
    static final int OVERREAD = 64;

    /**
     * What a byte of INT4 counts as is the number of its second direction in sixteenths plus that of its first; the coordinate of the
     * first makes up for it.
     */
    static final float SECOND = 1f / 16;

    /** The lower half of a byte is used at the top of a word, where its sign is the word's. */
    static final int TOP = 28;

    static final float FROM_TOP = 0x1p-28f;

    static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    private Codes() {}

    /** How a codec's numbers are kept: INT3 as INT4, whose numbers are ready with fewer instructions. */
    static Codec kept(Codec codec) {
        return codec == Codec.INT3 ? Codec.INT4 : codec;
    }

    private static <E> VectorSpecies<E> narrow(Class<E> type, int bits) {
        return VectorSpecies.of(type, VectorShape.forBitSize(Math.max(64, LANES * bits)));
    }

    /** Directions that share a byte. */
    static int together(Codec kept) {
        return kept == Codec.INT4 ? 2 : 1;
    }

    /**
     * Whether INT4 data holds the number -8, which {@link io.groupreduce.matrix.EncodedMatrix} never writes but reads, or an odd row a half byte
     * that looks like it. A pair of such numbers does not fit a byte here.
     */
    static boolean holdsLowest(MemorySegment data) {
        long at = 0;
        for (; at + Long.BYTES <= data.byteSize(); at += Long.BYTES) {
            if (holdsZeroHalf(data.get(ValueLayout.JAVA_LONG_UNALIGNED, at))) {
                return true;
            }
        }
        for (; at < data.byteSize(); at++) {
            if (holdsZeroHalf(data.get(ValueLayout.JAVA_BYTE, at) | 0x8888_8888_8888_8800L)) {
                return true;
            }
        }
        return false;
    }

    /** Whether one of 16 half bytes is 0: or-ing its bits together leaves a gap in a row of ones. */
    private static boolean holdsZeroHalf(long halves) {
        long any = halves | halves >>> 1 | halves >>> 2 | halves >>> 3;
        return (any & 0x1111_1111_1111_1111L) != 0x1111_1111_1111_1111L;
    }

    /** Bytes of a tile of this many directions. */
    static long tileBytes(Codec kept, int directions) {
        return switch (kept) {
            case F32 -> 4L * TILE * directions;
            case BF16 -> 2L * TILE * directions;
            case INT8 -> (long) TILE * directions;
            case INT4 -> (long) TILE * ((directions + 1) / 2);
            case INT3 -> throw new IllegalArgumentException("INT3 is kept as INT4");
        };
    }
}
