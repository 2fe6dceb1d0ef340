package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The values nearest to numbers of a profile: the same bits as {@link io.groupreduce.matrix.EncodedMatrix#requantizeRow} and back.
 *
 * <pre>t = floor(x / step), or the nearest integer of 8 bits;   value = clamp(t) step + middle</pre>
 *
 * <p>Bytes: a number read and written, 24 bytes of the profile from the first-level cache.
 */
final class NearestValues {
    /** Adding and subtracting 1.5 * 2^23 leaves the nearest integer, ties to even. */
    private static final float ROUNDER = 12582912f;

    /** By number of a row. */
    private final float[] inverse;

    private final float[] step;
    private final float[] middle;
    private final float[] least;
    private final float[] most;
    /** 1 where an integer must not lie above the number. */
    private final float[] down;

    NearestValues(BitProfile profile) {
        int room = profile.width() + LANES;
        inverse = new float[room];
        step = new float[room];
        middle = new float[room];
        least = new float[room];
        most = new float[room];
        down = new float[room];
        for (int j = 0; j < profile.width(); j++) {
            int bits = profile.bits(j);
            boolean widest = bits == CodeValues.MOST_BITS;
            inverse[j] = CodeValues.inverse(bits);
            step[j] = CodeValues.step(bits);
            middle[j] = widest ? 0 : CodeValues.half(bits);
            least[j] = widest ? -127 : -(1 << bits - 1);
            most[j] = widest ? 127 : (1 << bits - 1) - 0.5f;
            down[j] = widest ? 0 : 1;
        }
    }

    /**
     * Rounds {@code count} numbers, from number {@code first} of a row on; of a scale that cannot be inverted they count as 0. Up to LANES
     * numbers behind them are read too, and as many written that mean nothing.
     */
    void round(float[] source, int at, int first, int count, float scale, float[] target) {
        float inverseScale = 1 / scale <= Float.MAX_VALUE ? 1 / scale : 0;
        for (int j = 0; j < count; j += LANES) {
            FloatVector x = FloatVector.fromArray(FLOATS, source, at + j)
                    .mul(inverseScale)
                    .mul(FloatVector.fromArray(FLOATS, inverse, first + j))
                    .min(FloatVector.fromArray(FLOATS, most, first + j))
                    .max(FloatVector.fromArray(FLOATS, least, first + j));
            FloatVector nearest = x.add(ROUNDER).sub(ROUNDER);
            nearest.sub(FloatVector.fromArray(FLOATS, down, first + j), nearest.compare(VectorOperators.GT, x))
                    .fma(
                            FloatVector.fromArray(FLOATS, step, first + j),
                            FloatVector.fromArray(FLOATS, middle, first + j))
                    .mul(scale)
                    .intoArray(target, at + j);
        }
    }
}
