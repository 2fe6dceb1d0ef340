package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.ScaleSearch;
import io.groupreduce.vector.kernel.Lanes;
import jdk.incubator.vector.FloatVector;

/**
 * The scale of least error for a row of scaled coordinates, one scale a row; {@code EncodedMatrix.encodeRow} is the scalar
 * twin.
 *
 * <pre>argmin over s of sum_j u_j (y_j - clamp(round(y_j / s)) s)^2,   at most 25 scales s</pre>
 *
 * <p>Bytes: 8 a number and scale from the first-level cache. Never materialised: rounded numbers.
 */
final class ScaleKernel {
    /** 1.5 * 2^23: a number below 2^22 added to it is rounded to an integer, ties to even. */
    private static final float ROUNDING = 12_582_912f;

    private final float[] candidates = new float[ScaleSearch.MOST];
    private final float[] lanes = new float[LANES];

    /** Encodes {@code width} numbers from {@code from} on as row {@code row}; {@code weights} u may be {@code null}. */
    void encode(EncodedMatrix target, long row, float[] values, int from, float[] weights) {
        int width = target.width();
        float largest = Lanes.largest(values, from, width, lanes);
        int count = ScaleSearch.candidates(target.codec(), target.scaleFormat(), largest, candidates);
        float best = count == 0 ? 0 : candidates[0];
        double least = Double.POSITIVE_INFINITY;
        for (int t = 0; t < count && least > 0; t++) {
            float scale = candidates[t];
            float inverse = 1 / scale;
            double error = (double) scale
                    * scale
                    * (weights == null
                            ? error(inverse, target.codec().maxInteger(), values, from, width)
                            : error(inverse, target.codec().maxInteger(), values, from, width, weights));
            // NaN, of a scale without an inverse, is never the least.
            if (error < least) {
                least = error;
                best = scale;
            }
        }
        target.storeScale(row, 0, best);
        target.requantizeRow(row, values, from);
    }

    private float error(float inverse, float most, float[] values, int from, int count, float[] weights) {
        FloatVector sum = FloatVector.zero(FLOATS);
        int j = 0;
        for (; j + LANES <= count; j += LANES) {
            FloatVector off = distance(FloatVector.fromArray(FLOATS, values, from + j), inverse, most);
            sum = off.mul(off).fma(FloatVector.fromArray(FLOATS, weights, j), sum);
        }
        float tail = 0;
        for (; j < count; j++) {
            float off = distance(values[from + j] * inverse, most);
            tail = Math.fma(off * off, weights[j], tail);
        }
        return Lanes.sum(sum, lanes) + tail;
    }

    private float error(float inverse, float most, float[] values, int from, int count) {
        FloatVector sum = FloatVector.zero(FLOATS);
        int j = 0;
        for (; j + LANES <= count; j += LANES) {
            FloatVector off = distance(FloatVector.fromArray(FLOATS, values, from + j), inverse, most);
            sum = off.fma(off, sum);
        }
        float tail = 0;
        for (; j < count; j++) {
            float off = distance(values[from + j] * inverse, most);
            tail = Math.fma(off, off, tail);
        }
        return Lanes.sum(sum, lanes) + tail;
    }

    /** In units of the scale, so that small numbers do not vanish when they are squared. */
    private static FloatVector distance(FloatVector values, float inverse, float most) {
        FloatVector scaled = values.mul(inverse);
        return scaled.sub(scaled.add(ROUNDING).sub(ROUNDING).max(-most).min(most));
    }

    private static float distance(float scaled, float most) {
        return scaled - Math.max(-most, Math.min(most, scaled + ROUNDING - ROUNDING));
    }
}
