package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.LANES;

import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * How the stored numbers of a tile lie in memory once a head is loaded. A tile is {@link #TILE} rows of a group, four vectors of lanes;
 * a row keeps its lane, and directions follow one another:
 *
 * <pre>
 * F32        a direction: TILE floats
 * BF16       a direction: TILE bfloat16
 * BYTES      a direction: TILE signed bytes, the values of codes
 * HALVES     two directions: TILE bytes
 * QUARTERS   four directions: TILE bytes
 * EIGHTHS    eight directions: TILE bytes; only where kernels have tables, otherwise these are QUARTERS too
 * </pre>
 *
 * <p>Directions that share a byte have a field of it each, the first in the lowest bits. A field holds a code c of b bits as {@code s = c -
 * 2^(b - 1)}, for which the value is {@code (2 s + 1) half(b)}, with half the field's range added, so that nothing is below 0; but in the
 * upper one of HALVES, which is the sign of the byte, as it is.
 *
 * <p>So the sum over directions of a row stays in its lane, with no sum across lanes; a coordinate of the hidden state is one
 * broadcast for four vectors; and after some directions the sums so far can be looked at for the price of a compare. A file's rows
 * lie one behind the other instead: then four bits were read at 0.37 of the memory's speed, and like this at 0.47.
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

    static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    private Codes() {}

    private static <E> VectorSpecies<E> narrow(Class<E> type, int bits) {
        return VectorSpecies.of(type, VectorShape.forBitSize(Math.max(64, LANES * bits)));
    }
}
