package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.vector.kernel.Exponential;
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
    /** A tile and what fades the sum before it. */
    private static final int ROW = TILE + LANES;

    /** States whose powers stay in the first-level cache. */
    private static final int STEP = 16;

    private final float[] powers = new float[STEP * ROW];
    private float[] maxima = new float[0];
    private float[] sums = new float[0];
    private float[] gaps = new float[0];
    /** 1 / T. */
    private float[] inverses = new float[0];

    /** Forgets everything; there is room for {@code states} from now on, at temperature 1. */
    void start(int states) {
        if (maxima.length < states * LANES) {
            inverses = new float[states];
            maxima = new float[states * LANES];
            sums = new float[states * LANES];
            gaps = new float[states * LANES];
        }
        Arrays.fill(maxima, 0, states * LANES, -Float.MAX_VALUE);
        Arrays.fill(sums, 0, states * LANES, 0f);
        Arrays.fill(gaps, 0, states * LANES, 0f);
        Arrays.fill(inverses, 0, states, 1f);
    }

    /** The temperature of a state is 1 / {@code inverse} until the next start. */
    void setInverse(int state, float inverse) {
        inverses[state] = inverse;
    }

    /**
     * Adds a tile of logits of some states; {@link PackedHead#NO_TOKEN} or minus infinity where there is no token.
     *
     * @param first the state of the first row of logits
     * @param logits states x TILE, from {@code at} on
     */
    void add(int first, int states, float[] logits, int at) {
        add(first, states, logits, at, null);
    }

    /**
     * Likewise at temperature 1, and sums how far another softmax's logits are below.
     *
     * <pre>g[l] = sum exp(x_i - m[l]) (x_i - y_i)</pre>
     *
     * @param others y, states x TILE
     */
    void addWithGap(int first, int states, float[] logits, float[] others) {
        add(first, states, logits, 0, others);
    }

    private void add(int first, int states, float[] logits, int at, float[] others) {
        for (int from = 0; from < states; from += STEP) {
            int count = Math.min(STEP, states - from);
            differences(first + from, count, logits, at + from * TILE);
            Exponential.inPlace(powers, count * ROW);
            accumulate(first + from, count);
            if (others != null) {
                accumulateGaps(first + from, count, logits, others, from * TILE);
            }
        }
    }

    /** For each state (x - m) / T of the tile and (old m - m) / T, five vectors; m is the maximum with the tile. */
    private void differences(int first, int count, float[] logits, int logits0) {
        for (int state = 0; state < count; state++) {
            float inverse = inverses[first + state];
            int at = (first + state) * LANES;
            int from = logits0 + state * TILE;
            int to = state * ROW;
            FloatVector a = FloatVector.fromArray(FLOATS, logits, from);
            FloatVector b = FloatVector.fromArray(FLOATS, logits, from + LANES);
            FloatVector c = FloatVector.fromArray(FLOATS, logits, from + 2 * LANES);
            FloatVector d = FloatVector.fromArray(FLOATS, logits, from + 3 * LANES);
            FloatVector before = FloatVector.fromArray(FLOATS, maxima, at);
            FloatVector maximum = before.max(a.max(b).max(c.max(d)));
            maximum.intoArray(maxima, at);
            a.sub(maximum).mul(inverse).intoArray(powers, to);
            b.sub(maximum).mul(inverse).intoArray(powers, to + LANES);
            c.sub(maximum).mul(inverse).intoArray(powers, to + 2 * LANES);
            d.sub(maximum).mul(inverse).intoArray(powers, to + 3 * LANES);
            before.sub(maximum).mul(inverse).intoArray(powers, to + TILE);
        }
    }

    private void accumulate(int first, int count) {
        for (int state = 0; state < count; state++) {
            int at = (first + state) * LANES;
            int from = state * ROW;
            FloatVector tile = FloatVector.fromArray(FLOATS, powers, from)
                    .add(FloatVector.fromArray(FLOATS, powers, from + LANES))
                    .add(FloatVector.fromArray(FLOATS, powers, from + 2 * LANES)
                            .add(FloatVector.fromArray(FLOATS, powers, from + 3 * LANES)));
            FloatVector fade = FloatVector.fromArray(FLOATS, powers, from + TILE);
            FloatVector.fromArray(FLOATS, sums, at).fma(fade, tile).intoArray(sums, at);
        }
    }

    private void accumulateGaps(int first, int count, float[] logits, float[] others, int logits0) {
        for (int state = 0; state < count; state++) {
            int at = (first + state) * LANES;
            int from = state * ROW;
            FloatVector gap =
                    FloatVector.fromArray(FLOATS, gaps, at).mul(FloatVector.fromArray(FLOATS, powers, from + TILE));
            for (int i = 0; i < TILE; i += LANES) {
                int logit = logits0 + state * TILE + i;
                gap = FloatVector.fromArray(FLOATS, logits, logit)
                        .sub(FloatVector.fromArray(FLOATS, others, logit))
                        .fma(FloatVector.fromArray(FLOATS, powers, from + i), gap);
            }
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
    double sum(int state, float maximum) {
        double total = 0;
        for (int lane = 0; lane < LANES; lane++) {
            int at = state * LANES + lane;
            total += sums[at] * Math.exp((maxima[at] - (double) maximum) * inverses[state]);
        }
        return total;
    }

    /**
     * What the running softmaxes of numbered tasks came to, for some hidden states; put together in the order of the tasks, whoever ran
     * them when.
     *
     * <pre>m = max over tasks of m_t,   s = sum over tasks of s_t exp((m_t - m) / T)</pre>
     */
    static final class Merged {
        private int states;
        private float[] maxima = new float[0];
        private double[] sums = new double[0];
        private double[] gaps = new double[0];
        private float[] inverses = new float[0];

        /** Makes room; every task is taken before it is read. */
        void start(int tasks, int stateCount) {
            states = stateCount;
            if (maxima.length < tasks * states) {
                maxima = new float[tasks * states];
                sums = new double[tasks * states];
                gaps = new double[tasks * states];
            }
            if (inverses.length < states) {
                inverses = new float[states];
            }
            Arrays.fill(inverses, 0, states, 1f);
        }

        /** The temperature of a state is 1 / {@code inverse} until the next start. */
        void setInverse(int state, float inverse) {
            inverses[state] = inverse;
        }

        /** Takes what a task found. */
        void take(int task, RunningSoftmax part) {
            for (int state = 0; state < states; state++) {
                int at = task * states + state;
                maxima[at] = part.maximum(state);
                sums[at] = part.sum(state, maxima[at]);
            }
        }

        /** Takes the gaps of a task as well, after {@link #take}. */
        void takeGaps(int task, RunningSoftmax part) {
            for (int state = 0; state < states; state++) {
                int at = task * states + state;
                gaps[at] = part.gap(state, maxima[at]);
            }
        }

        /** The largest logit that the first {@code tasks} tasks met. */
        float maximum(int state, int tasks) {
            float largest = maxima[state];
            for (int task = 1; task < tasks; task++) {
                largest = Math.max(largest, maxima[task * states + state]);
            }
            return largest;
        }

        /** sum exp((x - maximum) / T) over the first {@code tasks} tasks. */
        double sum(int state, int tasks, float maximum) {
            return total(sums, state, tasks, maximum);
        }

        private double total(double[] of, int state, int tasks, float maximum) {
            double total = 0;
            for (int task = 0; task < tasks; task++) {
                int at = task * states + state;
                total += of[at] * Math.exp(((double) maxima[at] - maximum) * inverses[state]);
            }
            return total;
        }

        /** log sum exp(x), at temperature 1. */
        double logSumExp(int state, int tasks) {
            float maximum = maximum(state, tasks);
            return maximum + Math.log(sum(state, tasks, maximum));
        }

        /** sum softmax(x)_i (x_i - y_i), at temperature 1. */
        double expectedGap(int state, int tasks) {
            float maximum = maximum(state, tasks);
            return total(gaps, state, tasks, maximum) / sum(state, tasks, maximum);
        }
    }
}
