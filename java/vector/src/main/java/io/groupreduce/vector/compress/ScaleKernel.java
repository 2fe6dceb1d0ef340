package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.ScaleSearch;
import io.groupreduce.vector.kernel.Lanes;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The scale of least error for a row of codes, one scale a row; {@code EncodedMatrix.encodeRow} is the scalar twin.
 *
 * <pre>argmin over s of sum_j u_j (y_j - value of b_j bits nearest to y_j / s * s)^2,   at most 32 scales s</pre>
 *
 * <p>Made for the rows of one group. Bytes: 16 a number and scale from the first-level cache. Never materialised: codes.
 */
final class ScaleKernel {
    /** 1.5 * 2^23: a number of magnitude below 2^22 added to it is rounded to an integer, which is then in the low bits. */
    private static final float ROUNDER = 0x1.8p23f;

    /** Sums of squares outside these may have lost numbers to underflow or overflowed. */
    private static final float LEAST_SQUARES = 1e-30f;

    private static final float MOST_SQUARES = 1e30f;

    private final BitProfile profile;
    private final float[] weights;
    private final int width;
    /** Per number, steps of its width in a unit; minus the distance of the least value from 0, in steps; the largest step and ROUNDER. */
    private final float[] perStep;

    private final float[] halves;
    private final float[] limits;
    /** Per number, what a squared error in steps counts; 0 beyond the row. */
    private final float[] counted;

    private final float[] magnitudes;
    private final float[] candidates = new float[ScaleSearch.MOST];
    private final float[] lanes = new float[LANES];

    /**
     * Prepares for rows of a profile.
     *
     * @param weights u, at least as many as the profile has numbers; {@code null} means all 1
     */
    ScaleKernel(BitProfile profile, float[] weights) {
        this.profile = profile;
        this.weights = weights;
        width = profile.width();
        int padded = Math.ceilDiv(width, LANES) * LANES;
        perStep = new float[padded];
        halves = new float[padded];
        limits = new float[padded];
        counted = new float[padded];
        magnitudes = new float[padded];
        for (int j = 0; j < width; j++) {
            int bits = profile.bits(j);
            float step = CodeValues.step(bits);
            perStep[j] = CodeValues.inverse(bits);
            halves[j] = bits == CodeValues.MOST_BITS ? 0 : -0.5f;
            limits[j] = ROUNDER + (1 << bits - 1) - 1;
            counted[j] = step * step * (weights == null ? 1 : weights[j]);
        }
        Arrays.fill(limits, width, padded, ROUNDER);
    }

    /** Encodes numbers from {@code from} on as row {@code row}. */
    void encode(EncodedMatrix target, long row, float[] values, int from) {
        int near = Math.min(width, ScaleSearch.NEAR);
        float first = Lanes.squares(values, from, near, lanes);
        float squares = first + Lanes.squares(values, from + near, width - near, lanes);
        if (!(first >= LEAST_SQUARES && squares <= MOST_SQUARES)) {
            target.encodeRow(row, values, from, weights);
            return;
        }
        float deviation = ScaleSearch.deviation(first, near, squares, width);
        int count = ScaleSearch.candidates(target.scaleFormat(), deviation, clippingNothing(values, from), candidates);
        for (int j = 0; j < width; j++) {
            magnitudes[j] = Math.abs(values[from + j]) * perStep[j];
        }
        float best = candidates[0];
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t < count && least > 0; t++) {
            float scale = candidates[t];
            // NaN, of a scale without an inverse, is never the least.
            double error = (double) scale * scale * error(1 / scale);
            if (error < least) {
                least = error;
                best = scale;
            }
        }
        target.storeScale(row, 0, best);
        target.requantizeRow(row, values, from);
    }

    /** The scale that clips no number of many bits. */
    private float clippingNothing(float[] values, int from) {
        float scale = 0;
        for (int bits = ScaleSearch.WIDE_BITS; bits <= CodeValues.MOST_BITS; bits++) {
            int first = profile.atLeast(bits + 1);
            float largest = Lanes.largest(values, from + first, profile.atLeast(bits) - first, lanes);
            scale = Math.max(scale, largest / CodeValues.largest(bits));
        }
        return scale;
    }

    /** In units of the scale, so that small numbers do not vanish when they are squared. */
    private float error(float inverse) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < magnitudes.length; j += LANES) {
            FloatVector x = FloatVector.fromArray(FLOATS, magnitudes, j);
            x = x.mul(inverse).add(FloatVector.fromArray(FLOATS, halves, j));
            IntVector limit = FloatVector.fromArray(FLOATS, limits, j).reinterpretAsInts();
            IntVector nearest = x.add(ROUNDER).reinterpretAsInts().min(limit);
            FloatVector off = x.sub(nearest.reinterpretAsFloats().sub(ROUNDER));
            sum = off.mul(off).fma(FloatVector.fromArray(FLOATS, counted, j), sum);
        }
        return Lanes.sum(sum, lanes);
    }
}
