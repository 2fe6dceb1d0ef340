package io.groupreduce.vector.inference;

import static io.groupreduce.vector.Lanes.FLOATS;
import static io.groupreduce.vector.Lanes.LANES;
import static io.groupreduce.vector.Lanes.NR;
import static io.groupreduce.vector.inference.Codes.BYTES;
import static io.groupreduce.vector.inference.Codes.FROM_TOP;
import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.ORDER;
import static io.groupreduce.vector.inference.Codes.SECOND;
import static io.groupreduce.vector.inference.Codes.SHORTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.Codes.TOP;
import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import io.groupreduce.Codec;
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
 * <p>Bytes: the codes once; the panels stay in the second-level cache. Scales of rows are not applied here, but to the product.
 */
final class TileDecoder {
    private TileDecoder() {}

    /**
     * Decodes {@code directions} directions that begin at byte {@code from}.
     *
     * @param panels TILE / NR panels, {@code stride} floats apart; direction {@code first} of the panel is written first, and for
     *     INT4 one more may be written
     */
    static void decode(
            Codec kept, MemorySegment codes, long from, int directions, float[] panels, int stride, int first) {
        for (int lane = 0; lane < TILE; lane += LANES) {
            int to = lane / NR * stride + lane % NR + first * NR;
            switch (kept) {
                case F32 -> f32(codes, from + 4L * lane, directions, panels, to);
                case BF16 -> bf16(codes, from + 2L * lane, directions, panels, to);
                case INT8 -> int8(codes, from + lane, directions, panels, to);
                case INT4 -> int4(codes, from + lane, directions, panels, to);
                case INT3 -> throw new IllegalArgumentException("INT3 is kept as INT4");
            }
        }
    }

    private static void f32(MemorySegment codes, long from, int directions, float[] panels, int to) {
        long at = from;
        for (int i = 0; i < directions; i++, at += 4 * TILE) {
            FloatVector.fromMemorySegment(FLOATS, codes, at, ORDER).intoArray(panels, to + i * NR);
        }
    }

    private static void bf16(MemorySegment codes, long from, int directions, float[] panels, int to) {
        long at = from;
        for (int i = 0; i < directions; i++, at += 2 * TILE) {
            IntVector x = (IntVector)
                    ShortVector.fromMemorySegment(SHORTS, codes, at, ORDER).convertShape(ZERO_EXTEND_S2I, INTS, 0);
            x.lanewise(LSHL, Short.SIZE).reinterpretAsFloats().intoArray(panels, to + i * NR);
        }
    }

    private static void int8(MemorySegment codes, long from, int directions, float[] panels, int to) {
        long at = from;
        for (int i = 0; i < directions; i++, at += TILE) {
            ((FloatVector) ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2F, FLOATS, 0))
                    .intoArray(panels, to + i * NR);
        }
    }

    private static void int4(MemorySegment codes, long from, int directions, float[] panels, int to) {
        long at = from;
        for (int i = 0; i < directions; i += 2, at += TILE) {
            IntVector x = (IntVector)
                    ByteVector.fromMemorySegment(BYTES, codes, at, ORDER).convertShape(B2I, INTS, 0);
            FloatVector first = ((FloatVector) x.lanewise(LSHL, TOP).convert(I2F, 0)).mul(FROM_TOP);
            first.intoArray(panels, to + i * NR);
            ((FloatVector) x.convert(I2F, 0)).sub(first).mul(SECOND).intoArray(panels, to + i * NR + NR);
        }
    }
}
