package io.groupreduce.vector.inference;

/**
 * What the running softmaxes of numbered tasks came to, for some hidden states; put together in the order of the tasks, whoever ran
 * them when.
 *
 * <pre>m = max over tasks of m_t,   s = sum over tasks of s_t exp((m_t - m) / T)</pre>
 */
final class MergedSoftmax {
    private int states;
    private float[] maxima = new float[0];
    private double[] sums = new double[0];
    private double[] gaps = new double[0];

    /** Makes room; every task is taken before it is read. */
    void start(int tasks, int stateCount) {
        states = stateCount;
        if (maxima.length < tasks * states) {
            maxima = new float[tasks * states];
            sums = new double[tasks * states];
            gaps = new double[tasks * states];
        }
    }

    /** Takes what a task found at temperature 1 / {@code inverse}. */
    void take(int task, RunningSoftmax part, float inverse) {
        for (int state = 0; state < states; state++) {
            int at = task * states + state;
            maxima[at] = part.maximum(state);
            sums[at] = part.sum(state, maxima[at], inverse);
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
    double sum(int state, int tasks, float maximum, float inverse) {
        return total(sums, state, tasks, maximum, inverse);
    }

    private double total(double[] of, int state, int tasks, float maximum, float inverse) {
        double total = 0;
        for (int task = 0; task < tasks; task++) {
            int at = task * states + state;
            total += of[at] * Math.exp(((double) maxima[at] - maximum) * inverse);
        }
        return total;
    }

    /** log sum exp(x / T). */
    double logSumExp(int state, int tasks, float inverse) {
        float maximum = maximum(state, tasks);
        return (double) maximum * inverse + Math.log(sum(state, tasks, maximum, inverse));
    }

    /** sum softmax(x)_i (x_i - y_i), at temperature 1. */
    double expectedGap(int state, int tasks) {
        float maximum = maximum(state, tasks);
        return total(gaps, state, tasks, maximum, 1) / sum(state, tasks, maximum, 1);
    }
}
