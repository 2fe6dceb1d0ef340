package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/**
 * One row, as a file stores it, times the coordinates of one hidden state.
 *
 * <pre>sum over d of value[code[d]] z[d],   d &lt; k</pre>
 *
 * <p>Directions lie across the lanes: codes of up to four bits are cut out of a word that all lanes share, and those of one bit choose which
 * coordinates are added. Bytes: the codes of the row, which lie together, and z from the caches. Never materialised: a decoded number of up
 * to four bits.
 */
final class CodeProducts {
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Lanes that share a word of 32 bits. */
    private static final int SHARING = Math.min(LANES, 8);

    /** The widest codes of which as many fit. */
    private static final int NARROW = 4;

    private static final IntVector[] SHIFTS = new IntVector[NARROW + 1];
    private static final VectorMask<Integer> UPPER = VectorMask.fromLong(INTS, -1L << SHARING);

    static {
        for (int bits = 1; bits <= NARROW; bits++) {
            int width = bits;
            int[] shifts = new int[LANES];
            Arrays.setAll(shifts, lane -> lane % SHARING * width);
            SHIFTS[bits] = IntVector.fromArray(INTS, shifts, 0);
        }
    }

    private CodeProducts() {}

    /** Whether reading words does not leave the memory of the matrix. */
    static boolean fits(EncodedMatrix left, long row) {
        return (row + 1) * left.profile().rowBytes() + 2 * Long.BYTES
                <= left.data().byteSize();
    }

    /**
     * The sum of a row of codes, before its scale.
     *
     * @param z of direction 0 at {@code from}, with LANES numbers behind the last one
     * @param lanes room for LANES numbers, or as many as there are directions
     */
    static float sum(EncodedMatrix left, long row, float[] z, int from, float[] lanes) {
        BitProfile profile = left.profile();
        int first = profile.atLeast(NARROW + 1);
        float wide = 0;
        if (first > 0) {
            left.decodeValues(row, first, lanes, 0);
            wide = sum(lanes, first, z, from);
        }
        FloatVector.zero(FLOATS).intoArray(lanes, 0);
        long bit = 8 * row * profile.rowBytes();
        for (int bits = CodeValues.MOST_BITS; bits > NARROW; bits--) {
            bit += (long) bits * (profile.atLeast(bits) - profile.atLeast(bits + 1));
        }
        for (int bits = NARROW; bits > 0; bits--) {
            int begin = profile.atLeast(bits + 1);
            int end = profile.atLeast(bits);
            if (begin < end && bits > 1) {
                narrow(left.data(), bit, bits, end - begin, z, from + begin, lanes);
            } else if (begin < end) {
                single(left.data(), bit, end - begin, z, from + begin, lanes);
            }
            bit += (long) bits * (end - begin);
        }
        return wide + total(lanes);
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

    /** Codes of two to four bits. */
    private static void narrow(
            MemorySegment data, long start, int bits, int count, float[] z, int from, float[] lanes) {
        IntVector shifts = SHIFTS[bits];
        int mask = (1 << bits) - 1;
        float centre = 0.5f * mask;
        FloatVector sum = FloatVector.zero(FLOATS);
        long bit = start;
        for (int i = 0; i < count; i += LANES, bit += (long) bits * LANES) {
            IntVector word = IntVector.broadcast(INTS, (int) (data.get(WORD, bit >> 3) >>> (bit & 7)));
            if (LANES > SHARING) {
                long next = bit + (long) bits * SHARING;
                word = word.blend((int) (data.get(WORD, next >> 3) >>> (next & 7)), UPPER);
            }
            FloatVector coordinates = FloatVector.fromArray(FLOATS, z, from + i);
            if (count - i < LANES) {
                coordinates =
                        FloatVector.zero(FLOATS).blend(coordinates, VectorMask.fromLong(FLOATS, (1L << count - i) - 1));
            }
            IntVector codes = word.lanewise(LSHR, shifts).lanewise(AND, mask);
            sum = ((FloatVector) codes.convert(I2F, 0)).sub(centre).fma(coordinates, sum);
        }
        sum.mul(CodeValues.step(bits))
                .add(FloatVector.fromArray(FLOATS, lanes, 0))
                .intoArray(lanes, 0);
    }

    /** Codes of one bit. */
    private static void single(MemorySegment data, long start, int count, float[] z, int from, float[] lanes) {
        FloatVector all = FloatVector.zero(FLOATS);
        FloatVector upper = all;
        long bit = start;
        for (int i = 0; i < count; i += LANES, bit += LANES) {
            long word = data.get(WORD, bit >> 3) >>> (bit & 7);
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

    /** {@code sum left[d] z[from + d]} for {@code d < count}. */
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
