package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.CodeValues;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The inner loops over the coordinates of LANES rows, a row in each lane: number j of row r lies at {@code j * stride + r}. No
 * sum crosses lanes, so a row's bits depend on nothing beside it.
 *
 * <pre>
 * squares = sum over j of y_j^2,   largest = max |y_j|
 * error_t = sum over j of u_j (|y_j| - q s_t)^2,   q the value of b bits nearest to |y_j| / s_t,   t = 0 .. 3
 * </pre>
 *
 * <p>Magnitudes suffice, since values are the same on both sides of zero. Numbers that are not negative compare like their
 * bits, and the minimum of integers is one instruction where that of floats is several. Bytes: 4 a coordinate read from the
 * caches, and written once by {@link #measure}.
 */
final class CoordinateKernel {
    /** Scales that {@link #round} weighs at once: with their sums they fill 8 registers. */
    static final int SCALES = 4;

    /** 1.5 * 2^23: a number of magnitude below 2^22 added to it is rounded to an integer, which is then in the low bits. */
    private static final float ROUNDER = 0x1.8p23f;

    private CoordinateKernel() {}

    /**
     * Squares and scales one segment.
     *
     * @param values {@code count} coordinates c of each row from {@code from} on; become {@code y_j = c_j scale_j}
     * @param scales of the coordinates, the segment's from {@code first} on
     * @param squares receives the sum of c_j^2 at {@code at}
     */
    static void measure(
            float[] values, int from, int stride, int count, float[] scales, int first, float[] squares, int at) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < count; j++) {
            int x = from + j * stride;
            FloatVector value = FloatVector.fromArray(FLOATS, values, x);
            sum = value.fma(value, sum);
            value.mul(scales[first + j]).intoArray(values, x);
        }
        sum.intoArray(squares, at);
    }

    /** The sum of squares of the first {@code count} numbers of each row. */
    static void squares(float[] values, int from, int stride, int count, float[] squares) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < count; j++) {
            FloatVector value = FloatVector.fromArray(FLOATS, values, from + j * stride);
            sum = value.fma(value, sum);
        }
        sum.intoArray(squares, 0);
    }

    /** The largest magnitude of the first {@code count} numbers of each row. */
    static void largest(float[] values, int from, int stride, int count, float[] largest) {
        IntVector most = FloatVector.zero(FLOATS).reinterpretAsInts();
        for (int j = 0; j < count; j++) {
            FloatVector value = FloatVector.fromArray(FLOATS, values, from + j * stride);
            most = most.max(value.abs().reinterpretAsInts());
        }
        most.reinterpretAsFloats().intoArray(largest, 0);
    }

    /**
     * The errors of one width at four scales, from its first bound on: at every bound what they add up to.
     *
     * @param values y_j; number 0 of the first row at {@code from}
     * @param errorWeights u_j
     * @param bounds coordinates in rising order, two at least
     * @param inverses 1 / s_t, LANES numbers each, from {@code scale} on
     * @param sums receives error_t in squared steps, likewise, a group of four for each bound, from {@code at} on
     */
    static void round(
            float[] values,
            int from,
            int stride,
            float[] errorWeights,
            int bits,
            int[] bounds,
            float[] inverses,
            int scale,
            float[] sums,
            int at) {
        float perStep = CodeValues.inverse(bits);
        FloatVector inverse0 = FloatVector.fromArray(FLOATS, inverses, scale).mul(perStep);
        FloatVector inverse1 =
                FloatVector.fromArray(FLOATS, inverses, scale + LANES).mul(perStep);
        FloatVector inverse2 =
                FloatVector.fromArray(FLOATS, inverses, scale + 2 * LANES).mul(perStep);
        FloatVector inverse3 =
                FloatVector.fromArray(FLOATS, inverses, scale + 3 * LANES).mul(perStep);
        FloatVector rounder = FloatVector.broadcast(FLOATS, ROUNDER);
        // In steps: values lie halfway between integers, but for 8 bits.
        FloatVector half = FloatVector.broadcast(FLOATS, bits == CodeValues.MOST_BITS ? 0 : -0.5f);
        IntVector limit =
                FloatVector.broadcast(FLOATS, ROUNDER + (1 << bits - 1) - 1).reinterpretAsInts();
        Arrays.fill(sums, at, at + SCALES * LANES, 0);
        for (int s = 1, to = at; s < bounds.length; s++, to += SCALES * LANES) {
            // Sums go through memory from segment to segment: carried by the outer loop they would not stay in
            // registers.
            FloatVector error0 = FloatVector.fromArray(FLOATS, sums, to);
            FloatVector error1 = FloatVector.fromArray(FLOATS, sums, to + LANES);
            FloatVector error2 = FloatVector.fromArray(FLOATS, sums, to + 2 * LANES);
            FloatVector error3 = FloatVector.fromArray(FLOATS, sums, to + 3 * LANES);
            for (int j = bounds[s - 1]; j < bounds[s]; j++) {
                FloatVector y =
                        FloatVector.fromArray(FLOATS, values, from + j * stride).abs();
                FloatVector u = FloatVector.broadcast(FLOATS, errorWeights[j]);
                FloatVector x0 = y.fma(inverse0, half);
                FloatVector x1 = y.fma(inverse1, half);
                FloatVector x2 = y.fma(inverse2, half);
                FloatVector x3 = y.fma(inverse3, half);
                IntVector q0 = x0.add(rounder).reinterpretAsInts().min(limit);
                IntVector q1 = x1.add(rounder).reinterpretAsInts().min(limit);
                IntVector q2 = x2.add(rounder).reinterpretAsInts().min(limit);
                IntVector q3 = x3.add(rounder).reinterpretAsInts().min(limit);
                x0 = x0.sub(q0.reinterpretAsFloats().sub(rounder));
                x1 = x1.sub(q1.reinterpretAsFloats().sub(rounder));
                x2 = x2.sub(q2.reinterpretAsFloats().sub(rounder));
                x3 = x3.sub(q3.reinterpretAsFloats().sub(rounder));
                error0 = x0.mul(u).fma(x0, error0);
                error1 = x1.mul(u).fma(x1, error1);
                error2 = x2.mul(u).fma(x2, error2);
                error3 = x3.mul(u).fma(x3, error3);
            }
            error0.intoArray(sums, to + SCALES * LANES);
            error1.intoArray(sums, to + (SCALES + 1) * LANES);
            error2.intoArray(sums, to + (SCALES + 2) * LANES);
            error3.intoArray(sums, to + (SCALES + 3) * LANES);
        }
    }

    /**
     * Lowers what a profile loses to the least of its errors at four scales.
     *
     * @param sums what {@link #round} left
     * @param runs for each width of the profile: the width, and where in the sums it begins and ends
     * @param scales s_t, LANES numbers each, from {@code scale} on
     * @param least lowered
     */
    static void least(float[] sums, int[] runs, float[] scales, int scale, float[] least) {
        FloatVector error0 = FloatVector.zero(FLOATS);
        FloatVector error1 = error0;
        FloatVector error2 = error0;
        FloatVector error3 = error0;
        for (int w = 0; w < runs.length; w += 3) {
            float square = CodeValues.step(runs[w]) * CodeValues.step(runs[w]);
            FloatVector unit = FloatVector.broadcast(FLOATS, square);
            int from = runs[w + 1];
            int to = runs[w + 2];
            error0 = between(sums, from, to).fma(unit, error0);
            error1 = between(sums, from + LANES, to + LANES).fma(unit, error1);
            error2 = between(sums, from + 2 * LANES, to + 2 * LANES).fma(unit, error2);
            error3 = between(sums, from + 3 * LANES, to + 3 * LANES).fma(unit, error3);
        }
        IntVector low = scaled(error0, scales, scale).min(scaled(error1, scales, scale + LANES));
        IntVector high = scaled(error2, scales, scale + 2 * LANES).min(scaled(error3, scales, scale + 3 * LANES));
        IntVector before = FloatVector.fromArray(FLOATS, least, 0).reinterpretAsInts();
        before.min(low.min(high)).reinterpretAsFloats().intoArray(least, 0);
    }

    private static IntVector scaled(FloatVector error, float[] scales, int scale) {
        FloatVector unit = FloatVector.fromArray(FLOATS, scales, scale);
        return error.mul(unit).mul(unit).reinterpretAsInts();
    }

    private static FloatVector between(float[] sums, int from, int to) {
        return FloatVector.fromArray(FLOATS, sums, to).sub(FloatVector.fromArray(FLOATS, sums, from));
    }
}
