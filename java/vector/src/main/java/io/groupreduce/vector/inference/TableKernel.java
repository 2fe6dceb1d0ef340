package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Hidden states against directions of a tile that are many to a byte, by tables of {@link TileLayout#tables} instead of a product a
 * direction; only for vectors of 16 lanes.
 *
 * <pre>sums[i] += sum over half bytes t of table_t[code[t, i]],   i &lt; TILE</pre>
 *
 * <p>Bytes: the codes once, and for each of their rows 128 of tables, from the first-level cache for one state and the second for
 * several. Never materialised: a decoded number. As {@link TileKernel} says, lines are repeated.
 */
final class TableKernel {
    /** How many states share the codes of tables: as many as keep their sums and tables in registers. */
    static final int STATES = 4;

    private TableKernel() {}

    /**
     * One state.
     *
     * @param rows of TILE bytes, from byte {@code from} on
     * @param z its tables from {@code z0} on
     * @param first where its TILE sums begin
     */
    static void one(MemorySegment codes, long from, int rows, float[] z, int z0, float[] sums, int first) {
        FloatVector a = FloatVector.fromArray(FLOATS, sums, first);
        FloatVector b = FloatVector.fromArray(FLOATS, sums, first + LANES);
        FloatVector c = FloatVector.fromArray(FLOATS, sums, first + 2 * LANES);
        FloatVector d = FloatVector.fromArray(FLOATS, sums, first + 3 * LANES);
        long at = from;
        for (int i = z0, end = z0 + 2 * LANES * rows; i != end; i += 2 * LANES, at += TILE) {
            IntVector low = FloatVector.fromArray(FLOATS, z, i).reinterpretAsInts();
            IntVector high = FloatVector.fromArray(FLOATS, z, i + LANES).reinterpretAsInts();
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(ZERO_EXTEND_B2I, INTS, 0);
            a = a.add(x.selectFrom(low).reinterpretAsFloats());
            a = a.add(x.lanewise(LSHR, 4).selectFrom(high).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            b = b.add(x.selectFrom(low).reinterpretAsFloats());
            b = b.add(x.lanewise(LSHR, 4).selectFrom(high).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            c = c.add(x.selectFrom(low).reinterpretAsFloats());
            c = c.add(x.lanewise(LSHR, 4).selectFrom(high).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            d = d.add(x.selectFrom(low).reinterpretAsFloats());
            d = d.add(x.lanewise(LSHR, 4).selectFrom(high).reinterpretAsFloats());
        }
        a.intoArray(sums, first);
        b.intoArray(sums, first + LANES);
        c.intoArray(sums, first + 2 * LANES);
        d.intoArray(sums, first + 3 * LANES);
    }

    /**
     * Two states at once, which share what it takes to get at a content.
     *
     * @param stride numbers between the tables of one state and the next
     * @param first where sums begin, TILE of each state
     */
    static void two(MemorySegment codes, long from, int rows, float[] z, int z0, int stride, float[] sums, int first) {
        FloatVector s00 = FloatVector.fromArray(FLOATS, sums, first);
        FloatVector s01 = FloatVector.fromArray(FLOATS, sums, first + LANES);
        FloatVector s02 = FloatVector.fromArray(FLOATS, sums, first + 2 * LANES);
        FloatVector s03 = FloatVector.fromArray(FLOATS, sums, first + 3 * LANES);
        FloatVector s10 = FloatVector.fromArray(FLOATS, sums, first + 4 * LANES);
        FloatVector s11 = FloatVector.fromArray(FLOATS, sums, first + 5 * LANES);
        FloatVector s12 = FloatVector.fromArray(FLOATS, sums, first + 6 * LANES);
        FloatVector s13 = FloatVector.fromArray(FLOATS, sums, first + 7 * LANES);
        long at = from;
        for (int i = z0, end = z0 + 2 * LANES * rows; i != end; i += 2 * LANES, at += TILE) {
            IntVector low0 = FloatVector.fromArray(FLOATS, z, i).reinterpretAsInts();
            IntVector high0 = FloatVector.fromArray(FLOATS, z, i + LANES).reinterpretAsInts();
            IntVector low1 = FloatVector.fromArray(FLOATS, z, i + stride).reinterpretAsInts();
            IntVector high1 =
                    FloatVector.fromArray(FLOATS, z, i + stride + LANES).reinterpretAsInts();
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(ZERO_EXTEND_B2I, INTS, 0);
            IntVector y = x.lanewise(LSHR, 4);
            s00 = s00.add(x.selectFrom(low0).reinterpretAsFloats());
            s00 = s00.add(y.selectFrom(high0).reinterpretAsFloats());
            s10 = s10.add(x.selectFrom(low1).reinterpretAsFloats());
            s10 = s10.add(y.selectFrom(high1).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s01 = s01.add(x.selectFrom(low0).reinterpretAsFloats());
            s01 = s01.add(y.selectFrom(high0).reinterpretAsFloats());
            s11 = s11.add(x.selectFrom(low1).reinterpretAsFloats());
            s11 = s11.add(y.selectFrom(high1).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s02 = s02.add(x.selectFrom(low0).reinterpretAsFloats());
            s02 = s02.add(y.selectFrom(high0).reinterpretAsFloats());
            s12 = s12.add(x.selectFrom(low1).reinterpretAsFloats());
            s12 = s12.add(y.selectFrom(high1).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s03 = s03.add(x.selectFrom(low0).reinterpretAsFloats());
            s03 = s03.add(y.selectFrom(high0).reinterpretAsFloats());
            s13 = s13.add(x.selectFrom(low1).reinterpretAsFloats());
            s13 = s13.add(y.selectFrom(high1).reinterpretAsFloats());
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

    /** {@link #STATES} states at once, likewise. */
    static void several(
            MemorySegment codes, long from, int rows, float[] z, int z0, int stride, float[] sums, int first) {
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
        for (int i = z0, end = z0 + 2 * LANES * rows; i != end; i += 2 * LANES, at += TILE) {
            IntVector low0 = FloatVector.fromArray(FLOATS, z, i).reinterpretAsInts();
            IntVector high0 = FloatVector.fromArray(FLOATS, z, i + LANES).reinterpretAsInts();
            IntVector low1 = FloatVector.fromArray(FLOATS, z, i + stride).reinterpretAsInts();
            IntVector high1 =
                    FloatVector.fromArray(FLOATS, z, i + stride + LANES).reinterpretAsInts();
            IntVector low2 = FloatVector.fromArray(FLOATS, z, i + 2 * stride).reinterpretAsInts();
            IntVector high2 =
                    FloatVector.fromArray(FLOATS, z, i + 2 * stride + LANES).reinterpretAsInts();
            IntVector low3 = FloatVector.fromArray(FLOATS, z, i + 3 * stride).reinterpretAsInts();
            IntVector high3 =
                    FloatVector.fromArray(FLOATS, z, i + 3 * stride + LANES).reinterpretAsInts();
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(ZERO_EXTEND_B2I, INTS, 0);
            IntVector y = x.lanewise(LSHR, 4);
            s00 = s00.add(x.selectFrom(low0).reinterpretAsFloats());
            s00 = s00.add(y.selectFrom(high0).reinterpretAsFloats());
            s10 = s10.add(x.selectFrom(low1).reinterpretAsFloats());
            s10 = s10.add(y.selectFrom(high1).reinterpretAsFloats());
            s20 = s20.add(x.selectFrom(low2).reinterpretAsFloats());
            s20 = s20.add(y.selectFrom(high2).reinterpretAsFloats());
            s30 = s30.add(x.selectFrom(low3).reinterpretAsFloats());
            s30 = s30.add(y.selectFrom(high3).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s01 = s01.add(x.selectFrom(low0).reinterpretAsFloats());
            s01 = s01.add(y.selectFrom(high0).reinterpretAsFloats());
            s11 = s11.add(x.selectFrom(low1).reinterpretAsFloats());
            s11 = s11.add(y.selectFrom(high1).reinterpretAsFloats());
            s21 = s21.add(x.selectFrom(low2).reinterpretAsFloats());
            s21 = s21.add(y.selectFrom(high2).reinterpretAsFloats());
            s31 = s31.add(x.selectFrom(low3).reinterpretAsFloats());
            s31 = s31.add(y.selectFrom(high3).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s02 = s02.add(x.selectFrom(low0).reinterpretAsFloats());
            s02 = s02.add(y.selectFrom(high0).reinterpretAsFloats());
            s12 = s12.add(x.selectFrom(low1).reinterpretAsFloats());
            s12 = s12.add(y.selectFrom(high1).reinterpretAsFloats());
            s22 = s22.add(x.selectFrom(low2).reinterpretAsFloats());
            s22 = s22.add(y.selectFrom(high2).reinterpretAsFloats());
            s32 = s32.add(x.selectFrom(low3).reinterpretAsFloats());
            s32 = s32.add(y.selectFrom(high3).reinterpretAsFloats());
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_B2I, INTS, 0);
            y = x.lanewise(LSHR, 4);
            s03 = s03.add(x.selectFrom(low0).reinterpretAsFloats());
            s03 = s03.add(y.selectFrom(high0).reinterpretAsFloats());
            s13 = s13.add(x.selectFrom(low1).reinterpretAsFloats());
            s13 = s13.add(y.selectFrom(high1).reinterpretAsFloats());
            s23 = s23.add(x.selectFrom(low2).reinterpretAsFloats());
            s23 = s23.add(y.selectFrom(high2).reinterpretAsFloats());
            s33 = s33.add(x.selectFrom(low3).reinterpretAsFloats());
            s33 = s33.add(y.selectFrom(high3).reinterpretAsFloats());
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
