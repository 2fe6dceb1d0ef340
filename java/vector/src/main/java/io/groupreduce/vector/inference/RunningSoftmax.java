package io.groupreduce.vector.inference;

import static io.groupreduce.vector.Lanes.FLOATS;
import static io.groupreduce.vector.Lanes.LANES;
import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.vector.Exponential;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The running softmax of some hidden states over one part of the vocabulary; the tokens of a tile lie across the lanes.
 *
 * <pre>m[l] = max x_i,   s[l] = sum exp((x_i - m[l]) / T)   over the tokens i of lane l</pre>
 *
 * <p>Lanes stay apart until the part ends, so that no tile costs a sum across them. A part is short enough for its sums to stand in
 * single precision; parts are merged in double, in order. Bytes: a tile of logits from the first-level cache. Never materialised:
 * a probability.
 */
final class RunningSoftmax {
    private float[] maxima = new float[0];
    private float[] sums = new float[0];
    private float[] gaps = new float[0];

    /** Forgets everything; there is room for {@code states} from now on. */
    void start(int states) {
        if (maxima.length < states * LANES) {
            maxima = new float[states * LANES];
            sums = new float[states * LANES];
            gaps = new float[states * LANES];
        }
        Arrays.fill(maxima, 0, states * LANES, -Float.MAX_VALUE);
        Arrays.fill(sums, 0, states * LANES, 0f);
        Arrays.fill(gaps, 0, states * LANES, 0f);
    }

    /**
     * Adds a tile of logits of some states; {@link PackedHead#NO_TOKEN} where there is no token.
     *
     * @param first the state of the first row of logits
     * @param logits states x TILE
     * @param inverse 1 / T
     */
    void add(int first, int states, float[] logits, float inverse) {
        for (int state = 0; state < states; state++) {
            int at = (first + state) * LANES;
            int from = state * TILE;
            FloatVector largest = FloatVector.fromArray(FLOATS, logits, from)
                    .max(FloatVector.fromArray(FLOATS, logits, from + LANES))
                    .max(FloatVector.fromArray(FLOATS, logits, from + 2 * LANES)
                            .max(FloatVector.fromArray(FLOATS, logits, from + 3 * LANES)));
            FloatVector before = FloatVector.fromArray(FLOATS, maxima, at);
            FloatVector maximum = before.max(largest);
            // The tile's own sum first: only one multiply-add has to wait for the tile before.
            FloatVector sum = FloatVector.zero(FLOATS);
            for (int i = from; i != from + TILE; i += LANES) {
                FloatVector x = FloatVector.fromArray(FLOATS, logits, i);
                sum = sum.add(Exponential.of(x.sub(maximum).mul(inverse)));
            }
            FloatVector old = FloatVector.fromArray(FLOATS, sums, at);
            if (before.lt(maximum).anyTrue()) {
                old = old.mul(Exponential.of(before.sub(maximum).mul(inverse)));
                maximum.intoArray(maxima, at);
            }
            old.add(sum).intoArray(sums, at);
        }
    }

    /**
     * Likewise at temperature 1, and sums how far another softmax's logits are below.
     *
     * <pre>g[l] = sum exp(x_i - m[l]) (x_i - y_i)</pre>
     *
     * @param first the state of the first row of logits
     * @param others y, states x TILE
     */
    void addWithGap(int first, int states, float[] logits, float[] others) {
        for (int state = 0; state < states; state++) {
            int at = (first + state) * LANES;
            int from = state * TILE;
            FloatVector before = FloatVector.fromArray(FLOATS, maxima, at);
            FloatVector maximum = before;
            for (int i = from; i != from + TILE; i += LANES) {
                maximum = maximum.max(FloatVector.fromArray(FLOATS, logits, i));
            }
            FloatVector fade = Exponential.of(before.sub(maximum));
            FloatVector sum = FloatVector.fromArray(FLOATS, sums, at).mul(fade);
            FloatVector gap = FloatVector.fromArray(FLOATS, gaps, at).mul(fade);
            for (int i = from; i != from + TILE; i += LANES) {
                FloatVector x = FloatVector.fromArray(FLOATS, logits, i);
                FloatVector e = Exponential.of(x.sub(maximum));
                sum = sum.add(e);
                gap = x.sub(FloatVector.fromArray(FLOATS, others, i)).fma(e, gap);
            }
            maximum.intoArray(maxima, at);
            sum.intoArray(sums, at);
            gap.intoArray(gaps, at);
        }
    }

    /** sum exp(x - maximum) (x - y) of a state. */
    double gap(int state, float maximum) {
        double total = 0;
        for (int lane = 0; lane < LANES; lane++) {
            int at = state * LANES + lane;
            total += gaps[at] * Math.exp(maxima[at] - (double) maximum);
        }
        return total;
    }

    /** The largest logit of a state so far. */
    float maximum(int state) {
        float largest = maxima[state * LANES];
        for (int lane = 1; lane < LANES; lane++) {
            largest = Math.max(largest, maxima[state * LANES + lane]);
        }
        return largest;
    }

    /** sum exp((x - maximum) / T) of a state. */
    double sum(int state, float maximum, float inverse) {
        double total = 0;
        for (int lane = 0; lane < LANES; lane++) {
            int at = state * LANES + lane;
            total += sums[at] * Math.exp((maxima[at] - (double) maximum) * inverse);
        }
        return total;
    }
}
