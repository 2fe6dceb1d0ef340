package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.OR;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Some hidden states against directions of a tile that are two to a byte: what {@link TileKernel} does for one, in the same order, with the
 * work on the codes shared; only for vectors of 16 lanes, of which there are 32.
 *
 * <p>Bytes: the codes once, two coordinates of each state for TILE of them. Never materialised: a decoded number. As {@link TileKernel} says,
 * lines are repeated.
 */
final class HalvesKernel {
    private HalvesKernel() {}

    /**
     * Two states.
     *
     * @param directions an even number, from byte {@code from} on
     * @param z what {@link TileLayout.Folded} made of the first state from {@code z0} on; {@code stride} numbers on, of the next
     * @param first where sums begin, TILE of each state
     */
    static void two(
            MemorySegment codes, long from, int directions, float[] z, int z0, int stride, float[] sums, int first) {
        FloatVector s00 = FloatVector.fromArray(FLOATS, sums, first);
        FloatVector s01 = FloatVector.fromArray(FLOATS, sums, first + LANES);
        FloatVector s02 = FloatVector.fromArray(FLOATS, sums, first + 2 * LANES);
        FloatVector s03 = FloatVector.fromArray(FLOATS, sums, first + 3 * LANES);
        FloatVector s10 = FloatVector.fromArray(FLOATS, sums, first + 4 * LANES);
        FloatVector s11 = FloatVector.fromArray(FLOATS, sums, first + 5 * LANES);
        FloatVector s12 = FloatVector.fromArray(FLOATS, sums, first + 6 * LANES);
        FloatVector s13 = FloatVector.fromArray(FLOATS, sums, first + 7 * LANES);
        long at = from;
        for (int i = z0, end = z0 + directions; i != end; i += 2, at += TILE) {
            FloatVector u0 = FloatVector.broadcast(FLOATS, z[i]);
            FloatVector v0 = FloatVector.broadcast(FLOATS, z[i + 1]);
            FloatVector u1 = FloatVector.broadcast(FLOATS, z[i + stride]);
            FloatVector v1 = FloatVector.broadcast(FLOATS, z[i + stride + 1]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            FloatVector low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            FloatVector both = (FloatVector) x.convert(I2F, 0);
            s00 = both.fma(v0, low.fma(u0, s00));
            s10 = both.fma(v1, low.fma(u1, s10));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s01 = both.fma(v0, low.fma(u0, s01));
            s11 = both.fma(v1, low.fma(u1, s11));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s02 = both.fma(v0, low.fma(u0, s02));
            s12 = both.fma(v1, low.fma(u1, s12));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s03 = both.fma(v0, low.fma(u0, s03));
            s13 = both.fma(v1, low.fma(u1, s13));
        }
        s00.intoArray(sums, first);
        s01.intoArray(sums, first + LANES);
        s02.intoArray(sums, first + 2 * LANES);
        s03.intoArray(sums, first + 3 * LANES);
        s10.intoArray(sums, first + 4 * LANES);
        s11.intoArray(sums, first + 5 * LANES);
        s12.intoArray(sums, first + 6 * LANES);
        s13.intoArray(sums, first + 7 * LANES);
    }

    /** Four states, likewise. */
    static void four(
            MemorySegment codes, long from, int directions, float[] z, int z0, int stride, float[] sums, int first) {
        FloatVector s00 = FloatVector.fromArray(FLOATS, sums, first);
        FloatVector s01 = FloatVector.fromArray(FLOATS, sums, first + LANES);
        FloatVector s02 = FloatVector.fromArray(FLOATS, sums, first + 2 * LANES);
        FloatVector s03 = FloatVector.fromArray(FLOATS, sums, first + 3 * LANES);
        FloatVector s10 = FloatVector.fromArray(FLOATS, sums, first + 4 * LANES);
        FloatVector s11 = FloatVector.fromArray(FLOATS, sums, first + 5 * LANES);
        FloatVector s12 = FloatVector.fromArray(FLOATS, sums, first + 6 * LANES);
        FloatVector s13 = FloatVector.fromArray(FLOATS, sums, first + 7 * LANES);
        FloatVector s20 = FloatVector.fromArray(FLOATS, sums, first + 8 * LANES);
        FloatVector s21 = FloatVector.fromArray(FLOATS, sums, first + 9 * LANES);
        FloatVector s22 = FloatVector.fromArray(FLOATS, sums, first + 10 * LANES);
        FloatVector s23 = FloatVector.fromArray(FLOATS, sums, first + 11 * LANES);
        FloatVector s30 = FloatVector.fromArray(FLOATS, sums, first + 12 * LANES);
        FloatVector s31 = FloatVector.fromArray(FLOATS, sums, first + 13 * LANES);
        FloatVector s32 = FloatVector.fromArray(FLOATS, sums, first + 14 * LANES);
        FloatVector s33 = FloatVector.fromArray(FLOATS, sums, first + 15 * LANES);
        long at = from;
        for (int i = z0, end = z0 + directions; i != end; i += 2, at += TILE) {
            FloatVector u0 = FloatVector.broadcast(FLOATS, z[i]);
            FloatVector v0 = FloatVector.broadcast(FLOATS, z[i + 1]);
            FloatVector u1 = FloatVector.broadcast(FLOATS, z[i + stride]);
            FloatVector v1 = FloatVector.broadcast(FLOATS, z[i + stride + 1]);
            FloatVector u2 = FloatVector.broadcast(FLOATS, z[i + 2 * stride]);
            FloatVector v2 = FloatVector.broadcast(FLOATS, z[i + 2 * stride + 1]);
            FloatVector u3 = FloatVector.broadcast(FLOATS, z[i + 3 * stride]);
            FloatVector v3 = FloatVector.broadcast(FLOATS, z[i + 3 * stride + 1]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            FloatVector low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            FloatVector both = (FloatVector) x.convert(I2F, 0);
            s00 = both.fma(v0, low.fma(u0, s00));
            s10 = both.fma(v1, low.fma(u1, s10));
            s20 = both.fma(v2, low.fma(u2, s20));
            s30 = both.fma(v3, low.fma(u3, s30));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s01 = both.fma(v0, low.fma(u0, s01));
            s11 = both.fma(v1, low.fma(u1, s11));
            s21 = both.fma(v2, low.fma(u2, s21));
            s31 = both.fma(v3, low.fma(u3, s31));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s02 = both.fma(v0, low.fma(u0, s02));
            s12 = both.fma(v1, low.fma(u1, s12));
            s22 = both.fma(v2, low.fma(u2, s22));
            s32 = both.fma(v3, low.fma(u3, s32));
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            low = x.lanewise(AND, 0xf)
                    .lanewise(OR, TileKernel.INTEGER)
                    .reinterpretAsFloats()
                    .sub(TileKernel.CENTRE + 8);
            both = (FloatVector) x.convert(I2F, 0);
            s03 = both.fma(v0, low.fma(u0, s03));
            s13 = both.fma(v1, low.fma(u1, s13));
            s23 = both.fma(v2, low.fma(u2, s23));
            s33 = both.fma(v3, low.fma(u3, s33));
        }
        s00.intoArray(sums, first);
        s01.intoArray(sums, first + LANES);
        s02.intoArray(sums, first + 2 * LANES);
        s03.intoArray(sums, first + 3 * LANES);
        s10.intoArray(sums, first + 4 * LANES);
        s11.intoArray(sums, first + 5 * LANES);
        s12.intoArray(sums, first + 6 * LANES);
        s13.intoArray(sums, first + 7 * LANES);
        s20.intoArray(sums, first + 8 * LANES);
        s21.intoArray(sums, first + 9 * LANES);
        s22.intoArray(sums, first + 10 * LANES);
        s23.intoArray(sums, first + 11 * LANES);
        s30.intoArray(sums, first + 12 * LANES);
        s31.intoArray(sums, first + 13 * LANES);
        s32.intoArray(sums, first + 14 * LANES);
        s33.intoArray(sums, first + 15 * LANES);
    }
}
