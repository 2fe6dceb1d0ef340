package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.SHORTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import io.groupreduce.vector.inference.TileLayout.Kept;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;

/**
 * One hidden state against some directions of a tile, straight from the codes.
 *
 * <pre>sums[i] += sum over d of code[d, i] * z[d],   i &lt; TILE</pre>
 *
 * <p>Measured in cache and from memory alike, G coordinates a second: BYTES 25 to 27, HALVES 27 to 28, QUARTERS 42 and EIGHTHS 83, which look
 * up a table twice a byte, where products would make 28 of both.
 *
 * <p>Bytes: the codes once, z and the sums from the first-level cache. Never materialised: a decoded number. The sums are locals and
 * their lines repeated because vectors in an array leave the registers; no helper returns a vector, since one that is not inlined makes an
 * object of it, 20 times slower. Each form is a method of its own, too large to be inlined and small enough to be compiled well by itself:
 * inlined where much else is, some of it would be left uncompiled. Loops end where a position is {@code !=} the last: a counted loop the
 * compiler would unroll and read its 2 kB in an order that the processor does not foresee, which halved the speed of reading from memory.
 */
final class TileKernel {
    /**
     * So many directions at a time, or as many bytes of smaller ones, keep the processor reading ahead: measured, HALVES of 192 and 256
     * directions in one call are read at half the speed.
     */
    static final int DIRECTIONS = 64;

    /** Bits of 2^23; an integer below that in the lowest of them makes the sum of the two. */
    static final int INTEGER = 0x4B000000;

    static final float CENTRE = 0x1p23f;

    private TileKernel() {}

    /**
     * Adds some directions that begin at byte {@code at}, filled up to as many as {@link Kept#atOnce} says.
     *
     * @param z what {@link TileLayout#fold} made of a state
     */
    static void add(Kept kept, MemorySegment codes, long at, int directions, float[] z, int z0, float[] sums) {
        int whole = Math.ceilDiv(directions, kept.atOnce) * kept.atOnce;
        switch (kept) {
            case F32 -> f32(codes, at, whole, z, z0, sums);
            case BF16 -> bf16(codes, at, whole, z, z0, sums);
            case BYTES -> bytes(codes, at, whole, z, z0, sums);
            case HALVES -> halves(codes, at, whole, z, z0, sums);
            case QUARTERS, EIGHTHS -> {
                if (TileLayout.TABLES) {
                    TableKernel.one(codes, at, whole / kept.together, z, z0, sums, 0);
                } else {
                    quarters(codes, at, whole, z, z0, sums);
                }
            }
        }
    }

    /**
     * Likewise for 2 to {@link TableKernel#STATES} states; only HALVES and what is in tables.
     *
     * @param stride numbers between what was made of one state and of the next, with room for as many states
     * @param sums TILE of each state, likewise
     */
    static void add(
            Kept kept,
            MemorySegment codes,
            long at,
            int directions,
            int states,
            float[] z,
            int z0,
            int stride,
            float[] sums) {
        int whole = Math.ceilDiv(directions, kept.atOnce) * kept.atOnce;
        if (kept == Kept.HALVES && states == 2) {
            HalvesKernel.two(codes, at, whole, z, z0, stride, sums, 0);
        } else if (kept == Kept.HALVES) {
            HalvesKernel.four(codes, at, whole, z, z0, stride, sums, 0);
        } else if (states == 2) {
            TableKernel.two(codes, at, whole / kept.together, z, z0, stride, sums, 0);
        } else {
            TableKernel.several(codes, at, whole / kept.together, z, z0, stride, sums, 0);
        }
    }

    private static void f32(MemorySegment codes, long from, int directions, float[] z, int z0, float[] sums) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, 0);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, 3 * LANES);
        long at = from;
        int i = z0;
        for (long end = from + 4L * TILE * directions; at != end; i += 2, at += 8 * TILE) {
            FloatVector u = FloatVector.broadcast(FLOATS, z[i]);
            a = FloatVector.fromMemorySegment(FLOATS, codes, at, ORDER).fma(u, a);
            b = FloatVector.fromMemorySegment(FLOATS, codes, at + 4 * LANES, ORDER)
                    .fma(u, b);
            c = FloatVector.fromMemorySegment(FLOATS, codes, at + 8 * LANES, ORDER)
                    .fma(u, c);
            d = FloatVector.fromMemorySegment(FLOATS, codes, at + 12 * LANES, ORDER)
                    .fma(u, d);
            u = FloatVector.broadcast(FLOATS, z[i + 1]);
            a = FloatVector.fromMemorySegment(FLOATS, codes, at + 16 * LANES, ORDER)
                    .fma(u, a);
            b = FloatVector.fromMemorySegment(FLOATS, codes, at + 20 * LANES, ORDER)
                    .fma(u, b);
            c = FloatVector.fromMemorySegment(FLOATS, codes, at + 24 * LANES, ORDER)
                    .fma(u, c);
            d = FloatVector.fromMemorySegment(FLOATS, codes, at + 28 * LANES, ORDER)
                    .fma(u, d);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, LANES);
        c.intoArray(sums, 2 * LANES);
        d.intoArray(sums, 3 * LANES);
    }

    private static void bf16(MemorySegment codes, long from, int directions, float[] z, int z0, float[] sums) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, 0);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, 3 * LANES);
        long at = from;
        int i = z0;
        for (long end = from + 2L * TILE * directions; at != end; i += 2, at += 4 * TILE) {
            FloatVector u = FloatVector.broadcast(FLOATS, z[i]);
            IntVector x = (IntVector)
                    ShortVector.fromMemorySegment(SHORTS, codes, at, ORDER).convertShape(ZERO_EXTEND_S2I, INTS, 0);
            a = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, a);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            b = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, b);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 4 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            c = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, c);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 6 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            d = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, d);
            u = FloatVector.broadcast(FLOATS, z[i + 1]);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 8 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            a = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, a);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 10 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            b = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, b);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 12 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            c = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, c);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 14 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            d = x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().fma(u, d);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, LANES);
        c.intoArray(sums, 2 * LANES);
        d.intoArray(sums, 3 * LANES);
    }

    private static void bytes(MemorySegment codes, long from, int directions, float[] z, int z0, float[] sums) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, 0);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, 3 * LANES);
        long at = from;
        int i = z0;
        for (long end = from + (long) TILE * directions; at != end; i += 2, at += 2 * TILE) {
            FloatVector u = FloatVector.broadcast(FLOATS, z[i]);
            FloatVector x = (FloatVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2F, FLOATS, 0);
            a = x.fma(u, a);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            b = x.fma(u, b);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            c = x.fma(u, c);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            d = x.fma(u, d);
            u = FloatVector.broadcast(FLOATS, z[i + 1]);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 4 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            a = x.fma(u, a);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 5 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            b = x.fma(u, b);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 6 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            c = x.fma(u, c);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 7 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            d = x.fma(u, d);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, LANES);
        c.intoArray(sums, 2 * LANES);
        d.intoArray(sums, 3 * LANES);
    }

    private static void halves(MemorySegment codes, long from, int directions, float[] z, int z0, float[] sums) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, 0);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, 3 * LANES);
        long at = from;
        for (int i = z0, end = z0 + directions; i != end; i += 2, at += TILE) {
            FloatVector u = FloatVector.broadcast(FLOATS, z[i]);
            FloatVector v = FloatVector.broadcast(FLOATS, z[i + 1]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            a = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 8)
                    .fma(u, a);
            a = ((FloatVector) x.convert(I2F, 0)).fma(v, a);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            b = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 8)
                    .fma(u, b);
            b = ((FloatVector) x.convert(I2F, 0)).fma(v, b);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            c = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 8)
                    .fma(u, c);
            c = ((FloatVector) x.convert(I2F, 0)).fma(v, c);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            d = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 8)
                    .fma(u, d);
            d = ((FloatVector) x.convert(I2F, 0)).fma(v, d);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, LANES);
        c.intoArray(sums, 2 * LANES);
        d.intoArray(sums, 3 * LANES);
    }

    private static void quarters(MemorySegment codes, long from, int directions, float[] z, int z0, float[] sums) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, 0);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, 3 * LANES);
        long at = from;
        for (int i = z0, end = z0 + directions; i != end; i += 4, at += TILE) {
            FloatVector u = FloatVector.broadcast(FLOATS, z[i]);
            FloatVector v = FloatVector.broadcast(FLOATS, z[i + 1]);
            FloatVector w = FloatVector.broadcast(FLOATS, z[i + 2]);
            FloatVector t = FloatVector.broadcast(FLOATS, z[i + 3]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(ZERO_EXTEND_B2I, INTS, 0);
            a = x.lanewise(AND, 0x3)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 2)
                    .fma(u, a);
            a = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 10)
                    .fma(v, a);
            a = x.lanewise(AND, 0x3f)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 42)
                    .fma(w, a);
            a = x.lanewise(OR, INTEGER).reinterpretAsFloats().sub(CENTRE + 170).fma(t, a);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            b = x.lanewise(AND, 0x3)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 2)
                    .fma(u, b);
            b = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 10)
                    .fma(v, b);
            b = x.lanewise(AND, 0x3f)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 42)
                    .fma(w, b);
            b = x.lanewise(OR, INTEGER).reinterpretAsFloats().sub(CENTRE + 170).fma(t, b);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            c = x.lanewise(AND, 0x3)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 2)
                    .fma(u, c);
            c = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 10)
                    .fma(v, c);
            c = x.lanewise(AND, 0x3f)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 42)
                    .fma(w, c);
            c = x.lanewise(OR, INTEGER).reinterpretAsFloats().sub(CENTRE + 170).fma(t, c);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            d = x.lanewise(AND, 0x3)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 2)
                    .fma(u, d);
            d = x.lanewise(AND, 0xf)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 10)
                    .fma(v, d);
            d = x.lanewise(AND, 0x3f)
                    .lanewise(OR, INTEGER)
                    .reinterpretAsFloats()
                    .sub(CENTRE + 42)
                    .fma(w, d);
            d = x.lanewise(OR, INTEGER).reinterpretAsFloats().sub(CENTRE + 170).fma(t, d);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, LANES);
        c.intoArray(sums, 2 * LANES);
        d.intoArray(sums, 3 * LANES);
    }
}
