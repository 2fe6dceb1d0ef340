package io.groupreduce.api;

import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.IntUnaryOperator;

/**
 * What is known of the softmax that a matrix serves: samples of the hidden states that meet it.
 *
 * <p>Where something must be judged on states it was not fitted to, every fifth state is held out: a piece of text in one
 * block would stand for its own passage only. Of a single state, both parts are that state.
 *
 * @param hidden T x D, times the factor of the model's logits where it has one: {@code scale * (A h) = A (scale h)}
 * @param targets the token that really followed each hidden state, length T; {@code null} when unknown
 * @param bias added to the logits, length N; {@code null} for none
 */
public record SoftmaxData(Matrix hidden, int[] targets, float[] bias) {
    private static final int FIFTH = 5;

    /** The states that are not held out, in order, copied. */
    public SoftmaxData fitted() {
        int rows = hidden.rows();
        return rows == 1 ? this : pick(rows - heldOut(), k -> k + k / (FIFTH - 1));
    }

    /** The states held out, in order, copied; evenly spaced ones of them where they are more than {@code most}. */
    public SoftmaxData judged(int most) {
        int count = Math.min(most, heldOut());
        int last = hidden.rows() - 1;
        return pick(count, k -> Math.min(last, FIFTH * (int) ((long) k * heldOut() / count) + FIFTH - 1));
    }

    /** The first states, {@code most} of them at most. */
    public SoftmaxData first(int most) {
        return pick(Math.min(most, hidden.rows()), k -> k);
    }

    /** Evenly spaced states, {@code most} of them at most. */
    public SoftmaxData spread(int most) {
        int count = Math.min(most, hidden.rows());
        return pick(count, k -> (int) ((long) k * hidden.rows() / count));
    }

    /** States FIFTH - 1, 2 FIFTH - 1, ...; of fewer than FIFTH states the last one. */
    private int heldOut() {
        return Math.max(1, hidden.rows() / FIFTH);
    }

    private SoftmaxData pick(int count, IntUnaryOperator which) {
        long rowBytes = hidden.bytes() / hidden.rows();
        MemorySegment rows = Arena.ofAuto().allocate(count * rowBytes, Long.BYTES);
        int[] some = targets == null ? null : new int[count];
        for (int k = 0; k < count; k++) {
            int state = which.applyAsInt(k);
            MemorySegment.copy(hidden.data(), state * rowBytes, rows, k * rowBytes, rowBytes);
            if (targets != null) {
                some[k] = targets[state];
            }
        }
        return new SoftmaxData(Matrix.of(hidden.name(), hidden.type(), count, hidden.columns(), rows), some, bias);
    }
}
