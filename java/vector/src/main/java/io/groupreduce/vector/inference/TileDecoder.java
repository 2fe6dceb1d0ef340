package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.SHORTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import io.groupreduce.vector.inference.TileLayout.Run;
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
     * @param from a multiple of 8
     * @param panels TILE / NR panels, {@code stride} floats apart, each with room for directions rounded up to a multiple of 8
     */
    static void decode(PackedHead head, int tile, int from, int directions, float[] panels, int stride) {
        PackedHead.Group group = head.group(tile);
        TileLayout layout = group.layout();
        for (Run run : layout.runs) {
            int first = Math.max(run.from(), from);
            int count = Math.min(run.end(), from + directions) - first;
            long at = group.codesAt(tile) + run.at(first);
            int to = (first - from) * NR;
            if (count > 0) {
                switch (run.kept()) {
                    case F32 -> f32(head.codes, at, count, panels, to, stride);
                    case BF16 -> bf16(head.codes, at, count, panels, to, stride);
                    case BYTES -> bytes(head.codes, at, count, panels, to, stride);
                    case HALVES -> halves(head.codes, at, layout, first, count, panels, to, stride);
                    case QUARTERS, EIGHTHS ->
                        fields(head.codes, group.codesAt(tile), layout, run, first, count, panels, to, stride);
                }
            }
        }
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

    private static void f32(MemorySegment codes, long from, int directions, float[] panels, int to, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = to; i < directions; i++, j += NR, at += 4 * TILE) {
            FloatVector.fromMemorySegment(FLOATS, codes, at, ORDER).intoArray(panels, j);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 4 * LANES, ORDER).intoArray(panels, j + b);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 8 * LANES, ORDER).intoArray(panels, j + c);
            FloatVector.fromMemorySegment(FLOATS, codes, at + 12 * LANES, ORDER).intoArray(panels, j + d);
        }
    }

    private static void bf16(MemorySegment codes, long from, int directions, float[] panels, int to, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = to; i < directions; i++, j += NR, at += 2 * TILE) {
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

    private static void bytes(MemorySegment codes, long from, int directions, float[] panels, int to, int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        long at = from;
        for (int i = 0, j = to; i < directions; i++, j += NR, at += TILE) {
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

    private static void halves(
            MemorySegment codes,
            long from,
            TileLayout layout,
            int first,
            int directions,
            float[] panels,
            int to,
            int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        float[] step = layout.step;
        float[] origin = layout.origin;
        long at = from;
        for (int i = first, j = to; i < first + directions; i += 2, j += 2 * NR, at += TILE) {
            FloatVector step0 = FloatVector.broadcast(FLOATS, step[i]);
            FloatVector origin0 = FloatVector.broadcast(FLOATS, origin[i]);
            FloatVector step1 = FloatVector.broadcast(FLOATS, step[i + 1]);
            FloatVector origin1 = FloatVector.broadcast(FLOATS, origin[i + 1]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(AND, 0xf).convert(I2F, 0))
                    .fma(step0, origin0)
                    .intoArray(panels, j);
            ((FloatVector) x.lanewise(ASHR, 4).convert(I2F, 0))
                    .fma(step1, origin1)
                    .intoArray(panels, j + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(AND, 0xf).convert(I2F, 0))
                    .fma(step0, origin0)
                    .intoArray(panels, j + b);
            ((FloatVector) x.lanewise(ASHR, 4).convert(I2F, 0))
                    .fma(step1, origin1)
                    .intoArray(panels, j + b + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(AND, 0xf).convert(I2F, 0))
                    .fma(step0, origin0)
                    .intoArray(panels, j + c);
            ((FloatVector) x.lanewise(ASHR, 4).convert(I2F, 0))
                    .fma(step1, origin1)
                    .intoArray(panels, j + c + NR);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(AND, 0xf).convert(I2F, 0))
                    .fma(step0, origin0)
                    .intoArray(panels, j + d);
            ((FloatVector) x.lanewise(ASHR, 4).convert(I2F, 0))
                    .fma(step1, origin1)
                    .intoArray(panels, j + d + NR);
        }
    }

    private static void fields(
            MemorySegment codes,
            long tile,
            TileLayout layout,
            Run run,
            int first,
            int directions,
            float[] panels,
            int to,
            int stride) {
        int b = LANES / NR * stride + LANES % NR;
        int c = 2 * LANES / NR * stride + 2 * LANES % NR;
        int d = 3 * LANES / NR * stride + 3 * LANES % NR;
        int mask = (1 << run.kept().fieldBits()) - 1;
        for (int i = first, j = to; i < first + directions; i++, j += NR) {
            long at = tile + run.at(i);
            int shift = run.field(i) * run.kept().fieldBits();
            FloatVector step = FloatVector.broadcast(FLOATS, layout.step[i]);
            FloatVector origin = FloatVector.broadcast(FLOATS, layout.origin[i]);
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(LSHR, shift).lanewise(AND, mask).convert(I2F, 0))
                    .fma(step, origin)
                    .intoArray(panels, j);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(LSHR, shift).lanewise(AND, mask).convert(I2F, 0))
                    .fma(step, origin)
                    .intoArray(panels, j + b);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 2 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(LSHR, shift).lanewise(AND, mask).convert(I2F, 0))
                    .fma(step, origin)
                    .intoArray(panels, j + c);
            x = (IntVector) ByteVector.fromMemorySegment(BYTES, codes, at + 3 * LANES, ORDER)
                    .convertShape(B2I, INTS, 0);
            ((FloatVector) x.lanewise(LSHR, shift).lanewise(AND, mask).convert(I2F, 0))
                    .fma(step, origin)
                    .intoArray(panels, j + d);
        }
    }
}
