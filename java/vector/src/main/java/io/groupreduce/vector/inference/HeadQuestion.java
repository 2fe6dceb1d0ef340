package io.groupreduce.vector.inference;

import java.lang.foreign.MemorySegment;

/** What a pass over the tiles is to find; reused from query to query. */
final class HeadQuestion {
    /** How many top tokens. */
    int k;

    /** Whether the log-sum-exp is wanted, of logits divided by the temperature. */
    boolean summed;

    /** 1 / temperature. */
    float inverse;

    /** The most that leaving out may change a log-sum-exp. */
    double tolerance;

    /** Whether tokens are to be drawn from the whole vocabulary. */
    boolean noise;

    double temperature;
    long seed;
    /** The place of the first state in the caller's batch. */
    int firstState;

    /** Receives all logits; {@code null} if they are not wanted. */
    MemorySegment target;
    /** The row of the first state there. */
    long targetRow;

    private HeadQuestion reset() {
        k = 0;
        summed = false;
        inverse = 1;
        tolerance = 0;
        noise = false;
        target = null;
        return this;
    }

    HeadQuestion top(int count, boolean withSum, double temperatureOfSum, double toleranceOfSum) {
        reset();
        k = count;
        summed = withSum;
        // At extreme temperatures only the largest logit counts, or all count alike; the inverse itself must stay a
        // number that
        // empty places do not survive.
        inverse = (float) Math.clamp(1 / temperatureOfSum, 1e-30, 1e30);
        tolerance = toleranceOfSum;
        return this;
    }

    HeadQuestion draw(double atTemperature, long withSeed, int first) {
        reset();
        noise = true;
        temperature = atTemperature;
        seed = withSeed;
        firstState = first;
        return this;
    }

    HeadQuestion logits(MemorySegment into, long firstRow) {
        reset();
        target = into;
        targetRow = firstRow;
        return this;
    }

    /** Keeps no caller's memory from being freed. */
    void forgetTarget() {
        target = null;
    }

    /** Whether the answer can do without some tokens. */
    boolean prunable() {
        return target == null && (k > 0 || noise || summed) && (!summed || tolerance > 0);
    }
}
