package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The soft cap of a model's logits, {@code cap * tanh(logit / cap)}. It keeps their order; but a backend sums logits without it.
 *
 * @param cap 0 for none
 * @param matrix of which the logits are
 */
record SoftCap(double cap, String matrix) {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** @throws InvalidDataException if there is one, so that probabilities are not known */
    void requireNone() {
        if (cap > 0) {
            throw new InvalidDataException("The model of '" + matrix + "' caps its logits softly at " + cap
                    + ", so probabilities and draws are not known here; greedy, topLogits and logits are.");
        }
    }

    /** Caps the first {@code count} logits. */
    void apply(float[] logits, int count) {
        if (cap > 0) {
            apply(MemorySegment.ofArray(logits), count);
        }
    }

    /** Caps the first {@code count} logits, floats in the machine's byte order. */
    void apply(MemorySegment logits, long count) {
        for (long at = 0; cap > 0 && at < count; at++) {
            float logit = logits.get(F32, at * Float.BYTES);
            logits.set(F32, at * Float.BYTES, (float) (cap * Math.tanh(logit / cap)));
        }
    }
}
