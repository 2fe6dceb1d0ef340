package io.groupreduce.matrix;

/**
 * Chooses the scale that rounds a block of numbers with the least weighted squared error.
 *
 * <p>The largest candidate is the scale that clips nothing: a smaller one clips the largest magnitudes and rounds all others
 * more finely. Candidates are tried one after the other, larger ones first, on a block that stays in the first-level cache.
 */
public final class ScaleSearch {
    /** Steps down from the scale that clips nothing where any scale, or nearly any, can be stored. */
    private static final int FINE_STEPS = 24;

    private static final int FINE_STEPS_INT8 = 4;

    /** Steps down where only the scales of {@link ScaleFormat#LOG8} can be stored. */
    private static final int LOG8_STEPS = 14;

    private static final int LOG8_STEPS_INT8 = 3;

    /** Scales tried at most. */
    public static final int MOST = FINE_STEPS + 1;

    /** Entry t: what t steps down multiply the scale by, 2^(-t/16). */
    private static final float[] FINE_FACTORS = fineFactors();

    /** 1.5 * 2^23: a number below 2^22 added to it is rounded to an integer, ties to even. */
    private static final float ROUNDING = 12_582_912f;

    private static final int ROUNDING_BITS = Float.floatToRawIntBits(ROUNDING);

    private ScaleSearch() {}

    private static float[] fineFactors() {
        float[] factors = new float[FINE_STEPS + 1];
        for (int t = 0; t < factors.length; t++) {
            factors[t] = (float) Math.pow(2, -t / 16.0);
        }
        return factors;
    }

    /** The scale that clips none of {@code values[from .. to)}, as far as the format reaches. */
    static float clippingNothing(Codec codec, ScaleFormat format, float[] values, int from, int to) {
        return format.atLeast(absMax(values, from, to) / codec.maxInteger());
    }

    /**
     * The scale with the least {@code sum_j weight_j (value_j - integer_j * scale)^2}; the larger of two equally good ones.
     *
     * @param values those in {@code [from, to)} are meant
     * @param weights the weight of {@code values[j]} is {@code weights[j + shift]}; {@code null} means all 1
     */
    static float leastError(
            Codec codec, ScaleFormat format, float[] values, int from, int to, float[] weights, int shift) {
        float[] candidates = new float[MOST];
        int count = candidates(codec, format, absMax(values, from, to), candidates);
        float best = count == 0 ? 0 : candidates[0];
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t < count && least > 0; t++) {
            double error = error(candidates[t], codec.maxInteger(), values, from, to, weights, shift);
            if (error < least) {
                least = error;
                best = candidates[t];
            }
        }
        return best;
    }

    /**
     * The scales to try for numbers of which the largest magnitude is {@code largest}, falling: also for a backend that compares
     * them with a kernel of its own.
     *
     * @param into room for {@link #MOST}
     * @return how many: none where all numbers are 0
     */
    public static int candidates(Codec codec, ScaleFormat format, float largest, float[] into) {
        float exact = largest / codec.maxInteger();
        into[0] = format.atLeast(exact);
        if (into[0] == 0) {
            return 0;
        }
        boolean log8 = format == ScaleFormat.LOG8;
        int code = log8 ? ScaleFormat.log8AtLeast(exact) : 0;
        int steps = log8 ? Math.min(code - 1, steps(codec, true)) : steps(codec, false);
        for (int t = 1; t <= steps; t++) {
            into[t] = log8 ? ScaleFormat.log8(code - t) : format.atLeast(exact * FINE_FACTORS[t]);
        }
        return steps + 1;
    }

    private static int steps(Codec codec, boolean log8) {
        if (codec == Codec.INT8) {
            return log8 ? LOG8_STEPS_INT8 : FINE_STEPS_INT8;
        }
        return log8 ? LOG8_STEPS : FINE_STEPS;
    }

    private static float absMax(float[] values, int from, int to) {
        float max = 0;
        for (int j = from; j < to; j++) {
            max = Math.max(max, Math.abs(values[j]));
        }
        return max;
    }

    /** NaN, which is never the least, where the scale has no inverse. */
    private static double error(
            float scale, int maxInteger, float[] values, int from, int to, float[] weights, int shift) {
        float inverse = 1 / scale;
        int low = ROUNDING_BITS - maxInteger;
        int high = ROUNDING_BITS + maxInteger;
        // In units of the scale, so that small numbers do not vanish when they are squared.
        float sum = 0;
        if (weights == null) {
            for (int j = from; j < to; j++) {
                float off = distance(values[j] * inverse, low, high);
                sum += off * off;
            }
        } else {
            for (int j = from; j < to; j++) {
                float off = distance(values[j] * inverse, low, high);
                sum += weights[j + shift] * (off * off);
            }
        }
        return (double) scale * scale * sum;
    }

    /**
     * A number less its rounded and clipped value. Near ROUNDING one unit of a float's bits is one integer, and the bits of
     * positive floats ascend with them: clipping integers costs less than clipping floats, and a branch would be guessed wrong.
     */
    private static float distance(float value, int low, int high) {
        int bits = Float.floatToRawIntBits(value + ROUNDING);
        return value - (Float.intBitsToFloat(Math.max(low, Math.min(high, bits))) - ROUNDING);
    }
}
