package io.groupreduce.vector.compress;

import static io.groupreduce.vector.compress.Distortions.ROWS;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * The inner loops over the coordinates of LANES rows, a row in each lane: number j of row r lies at {@code j * ROWS + r}. No
 * sum crosses lanes, so a row's bits depend on nothing beside it.
 *
 * <pre>
 * squares = sum over j of c_j^2,   largest = max |y_j|,   y_j = c_j scale_j
 * error_t = sum over j of u_j (|y_j| - s_t min(round(|y_j| / s_t), m))^2,   t = 0 .. 3
 * </pre>
 *
 * <p>Magnitudes suffice, since rounding is the same on both sides of zero. Numbers that are not negative compare like their
 * bits, and the minimum of integers is one instruction where that of floats is several. Bytes: 4 a coordinate read from the
 * caches, and written once by {@link #measure}.
 */
final class CoordinateKernel {
    /** Scales that {@link #round} weighs at once: with their sums and inverses they fill 12 registers. */
    static final int SCALES = 4;

    /** Adding it rounds a number below 2^22 to an integer, which is then in the low bits. */
    private static final float ROUNDER = 0x1p23f;

    private CoordinateKernel() {}

    /**
     * Squares and scales one segment.
     *
     * @param values {@code count} coordinates of each row from {@code from} on; become {@code |y_j|}
     * @param scales of the coordinates, the segment's from {@code first} on
     * @param squares receives the sum at {@code at}
     * @param largest receives at {@code at} the maximum of the segment's and of what stands ROWS before
     */
    static void measure(
            float[] values, int from, int count, float[] scales, int first, float[] squares, float[] largest, int at) {
        IntVector most = FloatVector.fromArray(FLOATS, largest, at - ROWS).reinterpretAsInts();
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < count; j++) {
            int x = from + j * ROWS;
            FloatVector value = FloatVector.fromArray(FLOATS, values, x);
            sum = value.fma(value, sum);
            value = value.abs().mul(scales[first + j]);
            most = most.max(value.reinterpretAsInts());
            value.intoArray(values, x);
        }
        sum.intoArray(squares, at);
        most.reinterpretAsFloats().intoArray(largest, at);
    }

    /**
     * Adds one segment to the rounding errors at four scales and keeps the least of them.
     *
     * @param values {@code |y_j|}, {@code count} numbers of each row from {@code from} on
     * @param errorWeights u_j, the segment's from {@code first} on
     * @param inverses 1 / s_t, LANES numbers each, from {@code at} on
     * @param negatives -s_t, likewise
     * @param errors error_t, likewise, added to
     * @param maxInteger m
     * @param least lowered at {@code leastAt}
     */
    static void round(
            float[] values,
            int from,
            int count,
            float[] errorWeights,
            int first,
            float[] inverses,
            float[] negatives,
            float[] errors,
            int at,
            int maxInteger,
            float[] least,
            int leastAt) {
        FloatVector inverse0 = FloatVector.fromArray(FLOATS, inverses, at);
        FloatVector inverse1 = FloatVector.fromArray(FLOATS, inverses, at + LANES);
        FloatVector inverse2 = FloatVector.fromArray(FLOATS, inverses, at + 2 * LANES);
        FloatVector inverse3 = FloatVector.fromArray(FLOATS, inverses, at + 3 * LANES);
        FloatVector negative0 = FloatVector.fromArray(FLOATS, negatives, at);
        FloatVector negative1 = FloatVector.fromArray(FLOATS, negatives, at + LANES);
        FloatVector negative2 = FloatVector.fromArray(FLOATS, negatives, at + 2 * LANES);
        FloatVector negative3 = FloatVector.fromArray(FLOATS, negatives, at + 3 * LANES);
        FloatVector error0 = FloatVector.fromArray(FLOATS, errors, at);
        FloatVector error1 = FloatVector.fromArray(FLOATS, errors, at + LANES);
        FloatVector error2 = FloatVector.fromArray(FLOATS, errors, at + 2 * LANES);
        FloatVector error3 = FloatVector.fromArray(FLOATS, errors, at + 3 * LANES);
        FloatVector rounder = FloatVector.broadcast(FLOATS, ROUNDER);
        IntVector limit = FloatVector.broadcast(FLOATS, ROUNDER + maxInteger).reinterpretAsInts();
        for (int j = 0; j < count; j++) {
            FloatVector y = FloatVector.fromArray(FLOATS, values, from + j * ROWS);
            FloatVector u = FloatVector.broadcast(FLOATS, errorWeights[first + j]);
            FloatVector q0 =
                    y.fma(inverse0, rounder).reinterpretAsInts().min(limit).reinterpretAsFloats();
            FloatVector q1 =
                    y.fma(inverse1, rounder).reinterpretAsInts().min(limit).reinterpretAsFloats();
            FloatVector q2 =
                    y.fma(inverse2, rounder).reinterpretAsInts().min(limit).reinterpretAsFloats();
            FloatVector q3 =
                    y.fma(inverse3, rounder).reinterpretAsInts().min(limit).reinterpretAsFloats();
            FloatVector d0 = q0.sub(rounder).fma(negative0, y);
            FloatVector d1 = q1.sub(rounder).fma(negative1, y);
            FloatVector d2 = q2.sub(rounder).fma(negative2, y);
            FloatVector d3 = q3.sub(rounder).fma(negative3, y);
            error0 = d0.mul(u).fma(d0, error0);
            error1 = d1.mul(u).fma(d1, error1);
            error2 = d2.mul(u).fma(d2, error2);
            error3 = d3.mul(u).fma(d3, error3);
        }
        error0.intoArray(errors, at);
        error1.intoArray(errors, at + LANES);
        error2.intoArray(errors, at + 2 * LANES);
        error3.intoArray(errors, at + 3 * LANES);
        IntVector low = error0.reinterpretAsInts().min(error1.reinterpretAsInts());
        IntVector high = error2.reinterpretAsInts().min(error3.reinterpretAsInts());
        IntVector before = FloatVector.fromArray(FLOATS, least, leastAt).reinterpretAsInts();
        before.min(low.min(high)).reinterpretAsFloats().intoArray(least, leastAt);
    }
}
