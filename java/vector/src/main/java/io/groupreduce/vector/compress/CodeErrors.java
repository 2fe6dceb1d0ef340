package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.ScaleSearch;
import java.util.Arrays;

/**
 * What LANES rows of numbers lose when they become codes, in each of several profiles that try the same scales.
 *
 * <pre>error_p = min over scales s of sum over j &lt; k_p of u_j (y_j - value of b_pj bits nearest to y_j / s * s)^2</pre>
 *
 * <p>Scales are those of {@link ScaleSearch} next to the deviation of the first numbers, which all profiles have: so what a width loses
 * between two numbers at a scale is summed once for all of them. Where bits fall eight scales will do instead of eleven: measured, the
 * errors of chosen plans are 0.05 to 0.5 % larger. Bytes: 4 a number, width and four scales, from the caches. Never materialised: codes.
 */
final class CodeErrors {
    private static final int QUAD = CoordinateKernel.SCALES * LANES;

    /** Scales from so much above the deviation to so much below where bits fall: 2^(3.5/8). */
    private static final float REACH = 1.3542556f;

    private final ScaleFormat format;
    private final WidthSums sums;
    private final int near;
    /** Numbers of the profile, where there is one. */
    private final int all;
    /** First numbers that some profile gives many bits, and the least largest value of those. */
    private final int wide;

    private final float wideValue;
    private final float up;
    private final float down;
    private final float[] squares = new float[LANES];
    private final float[] nearSquares = new float[LANES];
    private final float[] largest = new float[LANES];
    private final float[] first = new float[LANES];
    private final float[] last = new float[LANES];
    private final float[] scales = new float[ScaleSearch.MOST * LANES];
    private final float[] inverses = new float[scales.length];
    /** By profile, LANES numbers. */
    private final float[][] errors;

    /** For profiles of codes that all have the first {@link ScaleSearch#NEAR} numbers, or for one alone. */
    CodeErrors(ScaleFormat format, BitProfile... profiles) {
        this.format = format;
        sums = new WidthSums(profiles);
        errors = new float[profiles.length][LANES];
        near = Math.min(profiles[0].width(), ScaleSearch.NEAR);
        boolean alone = profiles.length == 1;
        all = alone ? profiles[0].width() : near;
        wide = Arrays.stream(profiles)
                .mapToInt(p -> p.atLeast(ScaleSearch.WIDE_BITS))
                .max()
                .orElse(0);
        wideValue = CodeValues.largest(
                alone ? Math.max(ScaleSearch.WIDE_BITS, profiles[0].uniform()) : ScaleSearch.WIDE_BITS);
        boolean falling = !alone && Arrays.stream(profiles).anyMatch(p -> p.uniform() == 0);
        up = falling ? REACH : ScaleSearch.UP;
        down = falling ? 1 / REACH : ScaleSearch.DOWN;
    }

    /**
     * Measures.
     *
     * @param values y_j: number j of row r at {@code from + j * stride + r}
     * @param errorWeights u_j
     * @return by profile, the error of each row; valid until the next call
     */
    float[][] of(float[] values, int from, int stride, float[] errorWeights) {
        int steps = steps(values, from, stride);
        for (float[] error : errors) {
            Arrays.fill(error, Float.POSITIVE_INFINITY);
        }
        for (int at = 0; at < steps * LANES; at += QUAD) {
            sums.measure(values, from, stride, errorWeights, inverses, at);
            for (int p = 0; p < errors.length; p++) {
                sums.least(p, scales, at, errors[p]);
            }
        }
        return errors;
    }

    /** Finds the scales of each row, and returns how many there are at most; a row that has fewer tries its last one again. */
    private int steps(float[] values, int from, int stride) {
        CoordinateKernel.squares(values, from, stride, near, nearSquares);
        if (all > near) {
            CoordinateKernel.squares(values, from, stride, all, squares);
        }
        CoordinateKernel.largest(values, from, stride, wide, largest);
        for (int lane = 0; lane < LANES; lane++) {
            float deviation = all > near
                    ? ScaleSearch.deviation(nearSquares[lane], near, squares[lane], all)
                    : ScaleSearch.deviation(nearSquares[lane], near);
            first[lane] = ScaleSearch.most(format, deviation * up, largest[lane] / wideValue);
            last[lane] = deviation * down;
        }
        int steps = format == ScaleFormat.LOG8 ? bytes() : fine();
        for (int x = 0; x < steps * LANES; x++) {
            inverses[x] = 1 / scales[x];
        }
        return steps;
    }

    /** Scales of one byte. */
    private int bytes() {
        int most = 0;
        for (int lane = 0; lane < LANES; lane++) {
            int code = Math.max(1, ScaleFormat.log8AtLeast(first[lane]));
            int least = Math.max(ScaleFormat.log8AtLeast(last[lane]), Math.max(1, code - ScaleSearch.MOST + 1));
            most = Math.max(most, code - least + 1);
            first[lane] = code;
            last[lane] = least;
        }
        int steps = Math.ceilDiv(most, CoordinateKernel.SCALES) * CoordinateKernel.SCALES;
        for (int x = 0; x < steps * LANES; x++) {
            int lane = x % LANES;
            scales[x] = ScaleFormat.log8((int) Math.max(last[lane], first[lane] - x / LANES));
        }
        return steps;
    }

    /** Scales of finer formats. */
    private int fine() {
        float most = 1;
        for (int lane = 0; lane < LANES; lane++) {
            first[lane] = Math.max(Float.MIN_NORMAL, first[lane]);
            last[lane] = Math.max(Float.MIN_NORMAL, last[lane]);
            most = Math.max(most, first[lane] / last[lane]);
        }
        int steps = CoordinateKernel.SCALES;
        while (steps < ScaleSearch.MOST && ScaleSearch.step(steps) * most > 1) {
            steps += CoordinateKernel.SCALES;
        }
        for (int t = 0; t < steps; t++) {
            for (int lane = 0; lane < LANES; lane++) {
                float scale = Math.max(last[lane], first[lane] * ScaleSearch.step(t));
                scales[t * LANES + lane] = format.atLeast(scale);
            }
        }
        return steps;
    }
}
