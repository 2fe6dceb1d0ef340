package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.kernel.Exponential;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The running softmax of one head over part of the vocabulary, for some hidden states, which lie across the lanes.
 *
 * <pre>m = max z_i,   s = sum exp(z_i - m),   g = sum exp(z_i - m) (z_i - y_i)</pre>
 *
 * <p>Sums are in single precision inside a tile and in double over tiles; when a tile raises the maximum, what was summed
 * before is scaled once. Bytes: a tile of logits read twice from the first-level cache. Never materialised: a probability.
 */
public final class SoftmaxHeadState {
    private final float[] maximum;
    private final double[] sum;
    private final double[] gap;

    /** Starts with no token seen; {@code states} is a multiple of NR. */
    public SoftmaxHeadState(int states) {
        maximum = new float[states];
        sum = new double[states];
        gap = new double[states];
        Arrays.fill(maximum, Float.NEGATIVE_INFINITY);
    }

    /**
     * Adds a tile of logits.
     *
     * @param state the hidden state of column 0
     * @param z rows x NR logits of this head
     * @param y rows x NR logits of the other head for the gap, {@code null} when it is not wanted
     * @param maxima receives the largest logit of each of the NR columns
     * @param lanes scratch, 3 LANES floats
     */
    public void add(int state, float[] z, float[] y, int rows, float[] maxima, float[] lanes) {
        for (int j = 0; j < NR; j += LANES) {
            FloatVector largest = FloatVector.fromArray(FLOATS, z, j);
            for (int i = 1; i < rows; i++) {
                largest = largest.max(FloatVector.fromArray(FLOATS, z, i * NR + j));
            }
            largest.intoArray(maxima, j);
            FloatVector shift = largest.max(FloatVector.fromArray(FLOATS, maximum, state + j));
            FloatVector sums = FloatVector.zero(FLOATS);
            FloatVector gaps = sums;
            for (int i = 0; i < rows; i++) {
                FloatVector logits = FloatVector.fromArray(FLOATS, z, i * NR + j);
                FloatVector e = Exponential.of(logits.sub(shift));
                sums = sums.add(e);
                if (y != null) {
                    gaps = logits.sub(FloatVector.fromArray(FLOATS, y, i * NR + j))
                            .fma(e, gaps);
                }
            }
            shift.intoArray(lanes, 0);
            sums.intoArray(lanes, LANES);
            gaps.intoArray(lanes, 2 * LANES);
            for (int lane = 0; lane < LANES; lane++) {
                fold(state + j + lane, lanes[lane], lanes[LANES + lane], lanes[2 * LANES + lane]);
            }
        }
    }

    private void fold(int state, float newMaximum, double addSum, double addGap) {
        if (newMaximum > maximum[state]) {
            double scale = Math.exp((double) maximum[state] - newMaximum);
            sum[state] *= scale;
            gap[state] *= scale;
            maximum[state] = newMaximum;
        }
        sum[state] += addSum;
        gap[state] += addGap;
    }

    /** Takes over another part of the vocabulary. */
    public void merge(SoftmaxHeadState other) {
        for (int state = 0; state < maximum.length; state++) {
            double scale = Math.exp(Math.min(0, (double) other.maximum[state] - maximum[state]));
            fold(state, other.maximum[state], other.sum[state] * scale, other.gap[state] * scale);
        }
    }

    /** log sum exp z. */
    public double logSumExp(int state) {
        return maximum[state] + Math.log(sum[state]);
    }

    /** sum softmax(z)_i (z_i - y_i). */
    public double expectedGap(int state) {
        return gap[state] / sum[state];
    }
}
