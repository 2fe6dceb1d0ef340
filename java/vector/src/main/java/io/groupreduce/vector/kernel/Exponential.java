package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * exp for numbers that are not positive, as a softmax needs it: exp x = 2^n exp r with |r| at most half of ln 2, and a
 * polynomial for exp r. The relative error is about 1e-7; below -87 the result is that of -87.
 *
 * <p>{@code lanewise(EXP)} is not used: interpreted and compiled code answer it differently, so the last bits of a result
 * would depend on when the compiler came by. Here every step is exact or rounded once, in both.
 */
public final class Exponential {
    static final float LOWEST = -87f;
    static final float LOG2_E = 1.44269504f;

    /** ln 2 in two parts, the first with so few bits that its product with n is exact. */
    static final float LN2_HIGH = 0.693359375f;

    static final float LN2_LOW = -2.12194440e-4f;

    /** Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits. */
    static final float ROUNDER = 12582912f;

    private Exponential() {}

    /** exp of every lane. */
    public static FloatVector of(FloatVector x) {
        FloatVector bounded = x.max(LOWEST);
        FloatVector rounder = FloatVector.broadcast(FLOATS, ROUNDER);
        FloatVector shifted = bounded.fma(FloatVector.broadcast(FLOATS, LOG2_E), rounder);
        FloatVector n = shifted.sub(rounder);
        FloatVector r = n.fma(FloatVector.broadcast(FLOATS, -LN2_HIGH), bounded);
        r = n.fma(FloatVector.broadcast(FLOATS, -LN2_LOW), r);
        FloatVector one = FloatVector.broadcast(FLOATS, 1f);
        FloatVector p = FloatVector.broadcast(FLOATS, 1f / 720);
        p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 120));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 24));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 6));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 0.5f));
        p = p.fma(r, one);
        p = p.fma(r, one);
        IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        return p.reinterpretAsInts().add(power).reinterpretAsFloats();
    }

    /**
     * exp of the first {@code count} numbers, a multiple of LANES, in their place. The steps of {@link #of} once more: a vector that a
     * helper returns is an object wherever the compiler, in a large method, stops inlining, and this is the inner loop of every softmax.
     */
    public static void inPlace(float[] x, int count) {
        FloatVector rounder = FloatVector.broadcast(FLOATS, ROUNDER);
        FloatVector log2 = FloatVector.broadcast(FLOATS, LOG2_E);
        FloatVector high = FloatVector.broadcast(FLOATS, -LN2_HIGH);
        FloatVector low = FloatVector.broadcast(FLOATS, -LN2_LOW);
        FloatVector one = FloatVector.broadcast(FLOATS, 1f);
        for (int i = 0; i < count; i += FLOATS.length()) {
            FloatVector bounded = FloatVector.fromArray(FLOATS, x, i).max(LOWEST);
            FloatVector shifted = bounded.fma(log2, rounder);
            FloatVector n = shifted.sub(rounder);
            FloatVector r = n.fma(low, n.fma(high, bounded));
            FloatVector p = FloatVector.broadcast(FLOATS, 1f / 720).fma(r, FloatVector.broadcast(FLOATS, 1f / 120));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 24));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 6));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 0.5f));
            p = p.fma(r, one).fma(r, one);
            IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
            p.reinterpretAsInts().add(power).reinterpretAsFloats().intoArray(x, i);
        }
    }
}
