package io.groupreduce.matrix;

/**
 * Chooses the scale that rounds a block of numbers with the least weighted squared error, among steps of an eighth of an octave.
 *
 * <p>The best scale lies near the one at which numbers have the deviation that {@link CodeValues} are made for, so candidates go from five
 * steps above that to five below. The first {@link #NEAR} numbers, which count most, stand for all, unless those are much larger. A number of
 * many bits may be worth a larger scale that does not clip it, and is best off near the least of these: where the format is fine enough
 * that one is among the candidates. Candidates are tried one after the other, larger ones first, on a block that stays in the first-level cache.
 */
public final class ScaleSearch {
    /** Scales tried at most: four octaves of them. */
    public static final int MOST = 32;

    /** The numbers that come first. */
    public static final int NEAR = 64;

    /** Numbers of so many bits are not to be clipped by the first candidate. */
    public static final int WIDE_BITS = 6;

    /** What the deviation's own scale is multiplied by for the largest candidate: 2^(5/8). */
    public static final float UP = 1.5422108f;

    /** What it is multiplied by for the least: 2^(-5.5/8), no whole number of steps below, so that rounding does not decide about one. */
    public static final float DOWN = 0.6209289f;

    private static final float[] STEPS = steps();

    private ScaleSearch() {}

    private static float[] steps() {
        float[] factors = new float[MOST];
        for (int t = 0; t < factors.length; t++) {
            factors[t] = (float) Math.pow(2, -t / 8.0);
        }
        return factors;
    }

    /** What t steps down multiply a scale by, 2^(-t/8). */
    public static float step(int t) {
        return STEPS[t];
    }

    /** The scale that clips none of the numbers {@code from} to {@code to - 1} of a row, as far as the format reaches. */
    static float clippingNothing(BitProfile profile, ScaleFormat format, float[] source, int from, int to, int offset) {
        return format.atLeast(largest(profile, source, from, to, offset, 1));
    }

    /**
     * The scale with the least {@code sum_j weights[j] (x_j - value_j * scale)^2} over numbers {@code from} to {@code to - 1} of a row; the
     * larger of two equally good ones.
     *
     * @param source number j of the row is {@code source[offset + j]}
     * @param weights {@code null} means all 1
     */
    static float leastError(
            BitProfile profile, ScaleFormat format, float[] source, int from, int to, int offset, float[] weights) {
        float[] candidates = new float[MOST];
        int near = Math.min(to - from, NEAR);
        float deviation = deviation(
                squares(source, offset + from, near), near, squares(source, offset + from, to - from), to - from);
        float wide = largest(profile, source, from, to, offset, WIDE_BITS);
        int count = candidates(format, deviation, wide, candidates);
        float best = count == 0 ? 0 : candidates[0];
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t < count && least > 0; t++) {
            double error = error(candidates[t], profile, source, from, to, offset, weights);
            if (error < least) {
                least = error;
                best = candidates[t];
            }
        }
        return best;
    }

    /** The scale at which {@code count} numbers have the deviation that values are made for. */
    public static float deviation(double squares, int count) {
        return (float) Math.sqrt(squares / count) / CodeValues.DEVIATION;
    }

    /** The deviation of the first numbers, or a quarter of that of all where it is more. */
    public static float deviation(double nearSquares, int near, double squares, int count) {
        return Math.max(deviation(nearSquares, near), deviation(squares, count) / 4);
    }

    /**
     * The scales to try, falling: also for a backend that compares them with a kernel of its own.
     *
     * @param deviation the scale at which the numbers have the deviation that values are made for
     * @param wide the scale that clips no number of {@link #WIDE_BITS}
     * @param into room for {@link #MOST}
     * @return how many: none where all numbers are 0
     */
    public static int candidates(ScaleFormat format, float deviation, float wide, float[] into) {
        float most = most(format, deviation * UP, wide);
        into[0] = format.atLeast(most);
        if (into[0] == 0) {
            return 0;
        }
        boolean log8 = format == ScaleFormat.LOG8;
        int code = log8 ? ScaleFormat.log8AtLeast(most) : 0;
        for (int t = 1; t < MOST; t++) {
            if (log8 && t >= code) {
                return t;
            }
            float scale = log8 ? ScaleFormat.log8(code - t) : most * STEPS[t];
            if (scale < deviation * DOWN) {
                return t;
            }
            into[t] = log8 ? scale : format.atLeast(scale);
        }
        return MOST;
    }

    /**
     * The largest candidate: at least {@code usual} and {@code wide}, and where scales are finer than steps a whole number of these above
     * {@code wide}.
     */
    public static float most(ScaleFormat format, float usual, float wide) {
        int steps = 0;
        while (format != ScaleFormat.LOG8 && wide > 0 && steps < MOST - 1 && wide / STEPS[steps] < usual) {
            steps++;
        }
        return Math.max(usual, wide / STEPS[steps]);
    }

    private static double squares(float[] values, int from, int count) {
        double sum = 0;
        for (int j = from; j < from + count; j++) {
            sum += (double) values[j] * values[j];
        }
        return sum;
    }

    /** The largest of {@code |x_j| / largest value}, over numbers of at least some bits. */
    private static float largest(BitProfile profile, float[] source, int from, int to, int offset, int leastBits) {
        float largest = 0;
        for (int bits = leastBits; bits <= CodeValues.MOST_BITS; bits++) {
            float most = 0;
            int end = Math.min(to, profile.atLeast(bits));
            for (int j = Math.max(from, profile.atLeast(bits + 1)); j < end; j++) {
                most = Math.max(most, Math.abs(source[offset + j]));
            }
            largest = Math.max(largest, most / CodeValues.largest(bits));
        }
        return largest;
    }

    /** NaN, which is never the least, where the scale has no inverse. In units of the scale, so that small numbers do not vanish when squared. */
    private static double error(
            float scale, BitProfile profile, float[] source, int from, int to, int offset, float[] weights) {
        float inverse = 1 / scale;
        float sum = 0;
        for (int j = from; j < to; j++) {
            int bits = profile.bits(j);
            float x = source[offset + j] * inverse;
            float off = x - CodeValues.value(bits, CodeValues.nearest(bits, x));
            sum += (weights == null ? 1 : weights[j]) * (off * off);
        }
        return (double) scale * scale * sum;
    }
}
