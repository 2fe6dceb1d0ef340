package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * One row, as a file stores it, times the coordinates of one hidden state.
 *
 * <pre>sum over d of value[code[d]] z[d],   d &lt; k</pre>
 *
 * <p>Directions lie across the lanes. Where there are eight or more, as many codes of a width begin with the same bit of a byte as those before
 * them, so that one shuffle of bytes and one vector of shifts serves all of that width; codes of one bit choose which coordinates are added. Bytes: the
 * codes of the row, which lie together, and z from the caches. Never materialised: a decoded number.
 */
final class CodeProducts {
    /** What may be read behind the codes of a row. */
    static final int OVERREAD = 4 * LANES;

    private static final VectorSpecies<Byte> BYTES = VectorSpecies.of(byte.class, INTS.vectorShape());
    private static final VarHandle WORD = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    /** By the bit of a byte that codes begin with, and their width: the bytes, and by how much they are shifted then. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static final VectorShuffle<Byte>[] SHUFFLES = new VectorShuffle[Byte.SIZE * (CodeValues.MOST_BITS + 1)];

    private static final IntVector[] SHIFTS = new IntVector[SHUFFLES.length];

    static {
        for (int i = 0; i < SHUFFLES.length; i++) {
            int first = i % Byte.SIZE;
            int bits = i / Byte.SIZE;
            int[] shifts = new int[LANES];
            int[] bytes = new int[4 * LANES];
            for (int lane = 0; lane < LANES; lane++) {
                int bit = first + lane * bits;
                shifts[lane] = bit % Byte.SIZE;
                for (int b = 0; b < 4; b++) {
                    bytes[4 * lane + b] = bit / Byte.SIZE + Math.min(b, 1);
                }
            }
            SHIFTS[i] = IntVector.fromArray(INTS, shifts, 0);
            SHUFFLES[i] = VectorShuffle.fromArray(BYTES, bytes, 0);
        }
    }

    private CodeProducts() {}

    /**
     * The sum of a row of codes, before its scale.
     *
     * @param row the codes, from {@code at} on, and {@link #OVERREAD} bytes behind them
     * @param z of direction 0 at {@code from}, with LANES numbers behind the last one
     * @param lanes room for LANES numbers
     */
    static float sum(BitProfile profile, byte[] row, int at, float[] z, int from, float[] lanes) {
        FloatVector.zero(FLOATS).intoArray(lanes, 0);
        int bit = 0;
        for (int bits = profile.most(); bits > 0; bits--) {
            int begin = profile.atLeast(bits + 1);
            int count = profile.atLeast(bits) - begin;
            if (count > 0 && bits > 1) {
                codes(bits, row, 8 * at + bit, count, z, from + begin, lanes);
            } else if (count > 0) {
                singleBits(row, 8 * at + bit, count, z, from + begin, lanes);
            }
            bit += bits * count;
        }
        return total(lanes);
    }

    /** In the order of halves. */
    private static float total(float[] lanes) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int j = 0; j < half; j++) {
                lanes[j] += lanes[j + half];
            }
        }
        return lanes[0];
    }

    private static void codes(int bits, byte[] row, int start, int count, float[] z, int from, float[] lanes) {
        VectorShuffle<Byte> shuffle = SHUFFLES[bits * Byte.SIZE + start % Byte.SIZE];
        IntVector shifts = SHIFTS[bits * Byte.SIZE + start % Byte.SIZE];
        int mask = (1 << bits) - 1;
        float centre = bits == CodeValues.MOST_BITS ? 128 : 0.5f * mask;
        int bit = start;
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < count; i += LANES, bit += bits * LANES) {
            if (LANES < Byte.SIZE) {
                shuffle = SHUFFLES[bits * Byte.SIZE + bit % Byte.SIZE];
                shifts = SHIFTS[bits * Byte.SIZE + bit % Byte.SIZE];
            }
            FloatVector coordinates = FloatVector.fromArray(FLOATS, z, from + i);
            if (count - i < LANES) {
                coordinates =
                        FloatVector.zero(FLOATS).blend(coordinates, VectorMask.fromLong(FLOATS, (1L << count - i) - 1));
            }
            IntVector codes = ByteVector.fromArray(BYTES, row, bit / Byte.SIZE)
                    .rearrange(shuffle)
                    .reinterpretAsInts()
                    .lanewise(LSHR, shifts)
                    .lanewise(AND, mask);
            sum = ((FloatVector) codes.convert(I2F, 0)).sub(centre).fma(coordinates, sum);
        }
        sum.mul(CodeValues.step(bits))
                .add(FloatVector.fromArray(FLOATS, lanes, 0))
                .intoArray(lanes, 0);
    }

    private static void singleBits(byte[] row, int start, int count, float[] z, int from, float[] lanes) {
        FloatVector all = FloatVector.zero(FLOATS);
        FloatVector upper = all;
        int bit = start;
        for (int i = 0; i < count; i += LANES, bit += LANES) {
            long word = (long) WORD.get(row, bit / Byte.SIZE) >>> bit % Byte.SIZE;
            FloatVector coordinates = FloatVector.fromArray(FLOATS, z, from + i);
            if (count - i < LANES) {
                coordinates =
                        FloatVector.zero(FLOATS).blend(coordinates, VectorMask.fromLong(FLOATS, (1L << count - i) - 1));
            }
            all = all.add(coordinates);
            upper = upper.add(coordinates, VectorMask.fromLong(FLOATS, word & (1L << LANES) - 1));
        }
        float half = CodeValues.half(1);
        upper.mul(2 * half)
                .sub(all.mul(half))
                .add(FloatVector.fromArray(FLOATS, lanes, 0))
                .intoArray(lanes, 0);
    }

    /** {@code sum left[d] z[from + d]} for {@code d < count}; changes {@code left}. */
    static float sum(float[] left, int count, float[] z, int from) {
        FloatVector even = FloatVector.zero(FLOATS);
        FloatVector odd = even;
        int d = 0;
        for (; d + 2 * LANES <= count; d += 2 * LANES) {
            even = FloatVector.fromArray(FLOATS, left, d).fma(FloatVector.fromArray(FLOATS, z, from + d), even);
            odd = FloatVector.fromArray(FLOATS, left, d + LANES)
                    .fma(FloatVector.fromArray(FLOATS, z, from + d + LANES), odd);
        }
        double rest = 0;
        for (; d < count; d++) {
            rest += (double) left[d] * z[from + d];
        }
        if (count >= 2 * LANES) {
            even.add(odd).intoArray(left, 0);
            rest += total(left);
        }
        return (float) rest;
    }
}
