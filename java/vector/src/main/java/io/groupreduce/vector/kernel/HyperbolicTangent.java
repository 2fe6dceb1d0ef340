package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * tanh, as models cap their logits with it, from {@code e = exp x - 1} at {@code x = -2 |a|}:
 *
 * <pre>tanh |a| = -e / (2 + e),   e = 2^n (exp r - 1) + (2^n - 1),   x = n ln 2 + r</pre>
 *
 * <p>so that a small number loses no digits. The relative error is about 3e-7. For the reason that {@link Exponential} gives, every
 * step is exact or rounded once, in interpreted and compiled code alike.
 */
public final class HyperbolicTangent {
    private HyperbolicTangent() {}

    /** {@code x = c tanh(x / c)} for {@code count} numbers from {@code from} on, a multiple of LANES. */
    public static void cap(float[] x, int from, int count, float c) {
        FloatVector rounder = FloatVector.broadcast(FLOATS, Exponential.ROUNDER);
        for (int i = from; i < from + count; i += LANES) {
            FloatVector a = FloatVector.fromArray(FLOATS, x, i).div(c);
            FloatVector bounded = a.abs().mul(-2f).max(Exponential.LOWEST);
            FloatVector shifted = bounded.fma(FloatVector.broadcast(FLOATS, Exponential.LOG2_E), rounder);
            FloatVector n = shifted.sub(rounder);
            FloatVector r = n.fma(FloatVector.broadcast(FLOATS, -Exponential.LN2_HIGH), bounded);
            r = n.fma(FloatVector.broadcast(FLOATS, -Exponential.LN2_LOW), r);
            FloatVector p = FloatVector.broadcast(FLOATS, 1f / 5040).fma(r, FloatVector.broadcast(FLOATS, 1f / 720));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 120));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 24));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f / 6));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 0.5f));
            p = p.fma(r, FloatVector.broadcast(FLOATS, 1f)).mul(r);
            IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
            FloatVector scale = power.add(Float.floatToRawIntBits(1f)).reinterpretAsFloats();
            FloatVector e = p.fma(scale, scale.sub(1f));
            FloatVector capped = e.div(e.add(2f)).mul(c);
            VectorMask<Float> positive = a.compare(VectorOperators.GE, 0f);
            capped.blend(capped.neg(), positive).intoArray(x, i);
        }
    }
}
