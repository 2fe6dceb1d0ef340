package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.FROM_TOP;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.SECOND;
import static io.groupreduce.vector.inference.Codes.SHORTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.Codes.TOP;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import io.groupreduce.matrix.Codec;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;

/**
 * Directions of a tile as numbers, in the panels that the matrix product wants: several hidden states share one decoding.
 *
 * <pre>panel[p][d, j] = number of direction d, row p NR + j,   j &lt; NR,   p &lt; TILE / NR</pre>
 *
 * <p>Bytes: the codes once; some {@link TileKernel#DIRECTIONS} directions at a time stay in the first-level cache, where all states meet
 * them: measured, decoding is three times as fast there as into the second level. Scales of segments are
 * applied here, those of rows to the product.
 */
final class TileDecoder {
    private TileDecoder() {}

    /**
     * Decodes directions {@code from .. from + directions - 1} of a tile.
     *
     * @param from even
     * @param panels TILE / NR panels, {@code stride} floats apart, each with room for one direction more, which INT4 may write
     */
    static void decode(PackedHead head, int tile, int from, int directions, float[] panels, int stride) {
        PackedHead.Group group = head.group(tile);
        codes(group.kept(), head.codes, group.codesAt(tile, from), directions, panels, stride);
        if (group.segmentScales() != null) {
            int end = from + directions;
            for (int first = from; first < end; ) {
                int segment = first / group.segment();
                int next = Math.min(end, (segment + 1) * group.segment());
                int scales = group.scalesAt(tile, segment);
                scale(group.segmentScales(), scales, panels, stride, first - from, next - first);
                first = next;
            }
        }
    }

    private static void scale(float[] scales, int from, float[] panels, int stride, int first, int directions) {
        for (int lane = 0; lane < TILE; lane += LANES) {
            FloatVector scale = FloatVector.fromArray(FLOATS, scales, from + lane);
            int at = lane / NR * stride + lane % NR + first * NR;
            for (int d = 0; d < directions; d++, at += NR) {
                FloatVector.fromArray(FLOATS, panels, at).mul(scale).intoArray(panels, at);
            }
        }
    }

    private static void codes(Codec kept, MemorySegment codes, long from, int directions, float[] panels, int stride) {
        switch (kept) {
            case F32 -> f32(codes, from, directions, panels, stride);
            case BF16 -> bf16(codes, from, directions, panels, stride);
            case INT8 -> int8(codes, from, directions, panels, stride);
            case INT4 -> int4(codes, from, directions, panels, stride);
            case INT3 -> throw new IllegalArgumentException("INT3 is kept as INT4");
        }
    }

    private static void f32(MemorySegment codes, long from, int directions, float[] panels, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = 0; i < directions; i++, j += NR, at += 4 * TILE) {
            FloatVector.fromMemorySegment(FLOATS, codes, at, ORDER).intoArray(panels, j);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 4 * LANES, ORDER).intoArray(panels, j + b);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 8 * LANES, ORDER).intoArray(panels, j + c);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 12 * LANES, ORDER).intoArray(panels, j + d);
        }
    }

    private static void bf16(MemorySegment codes, long from, int directions, float[] panels, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = 0; i < directions; i++, j += NR, at += 2 * TILE) {
            IntVector x = (IntVector)
                    ShortVector.fromMemorySegment(SHORTS, codes, at, ORDER).convertShape(ZERO_EXTEND_S2I, INTS, 0);
            x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().intoArray(panels, j);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 2 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().intoArray(panels, j + b);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 4 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().intoArray(panels, j + c);
            x = (IntVector) ShortVector.fromMemorySegment(SHORTS, codes, at + 6 * LANES, ORDER)
                    .convertShape(ZERO_EXTEND_S2I, INTS, 0);
            x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().intoArray(panels, j + d);
        }
    }

    private static void int8(MemorySegment codes, long from, int directions, float[] panels, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = 0; i < directions; i++, j += NR, at += TILE) {
            FloatVector x = (FloatVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2F, FLOATS, 0);
            x.intoArray(panels, j);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            x.intoArray(panels, j + b);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            x.intoArray(panels, j + c);
            x = (FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2F, FLOATS, 0);
            x.intoArray(panels, j + d);
        }
    }

    private static void int4(MemorySegment codes, long from, int directions, float[] panels, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = 0; i < directions; i += 2, j += 2 * NR, at += TILE) {
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            FloatVector first = ((FloatVector) x.lanewise(LSHL, TOP).convert(I2F, 0)).mul(FROM_TOP);
            first.intoArray(panels, j);
            ((FloatVector) x.convert(I2F, 0)).sub(first).mul(SECOND).intoArray(panels, j + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            first = ((FloatVector) x.lanewise(LSHL, TOP).convert(I2F, 0)).mul(FROM_TOP);
            first.intoArray(panels, j + b);
            ((FloatVector) x.convert(I2F, 0)).sub(first).mul(SECOND).intoArray(panels, j + b + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            first = ((FloatVector) x.lanewise(LSHL, TOP).convert(I2F, 0)).mul(FROM_TOP);
            first.intoArray(panels, j + c);
            ((FloatVector) x.convert(I2F, 0)).sub(first).mul(SECOND).intoArray(panels, j + c + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            first = ((FloatVector) x.lanewise(LSHL, TOP).convert(I2F, 0)).mul(FROM_TOP);
            first.intoArray(panels, j + d);
            ((FloatVector) x.convert(I2F, 0)).sub(first).mul(SECOND).intoArray(panels, j + d + NR);
        }
    }
}
