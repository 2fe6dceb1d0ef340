package io.groupreduce.internal.compress;

import java.util.function.DoubleUnaryOperator;

/**
 * Looks for the step that fills a size: a secant on the logarithm of bytes over that of the step, inside a bracket once there is one. Bytes
 * fall as steps grow, but in jumps.
 */
final class StepSearch {
    /** Where the search ends, in octaves: no scale of one byte is further away. */
    static final double FAR = 40;

    /** A size filled to this share is full. */
    private static final double FULL = 0.998;

    private static final int MOST_TRIED = 30;

    /** How far the search moves before there are steps on both sides of the size, in octaves. */
    private static final double LEAST_MOVE = 0.25;

    private static final double MOST_MOVE = 4;

    /** How many octaves bytes fall by for an octave of the step, at least and at most. */
    private static final double LEAST_STEEPNESS = 0.1;

    private static final double MOST_STEEPNESS = 4;

    /** Octaves that a step is made larger by where everything does not fit, and twice as many the next time. */
    private static final double LEAST_CHANGE = 0.002;

    private final double budget;
    private double steepness = 1;

    StepSearch(double budget) {
        this.budget = budget;
    }

    boolean isFull(double bytes) {
        return bytes >= FULL * budget;
    }

    /**
     * A step, in octaves, that fits and fills the size as far as possible; NaN if none fits.
     *
     * @param start where to begin
     * @param bytes what everything takes at a step
     */
    double find(double start, DoubleUnaryOperator bytes) {
        double at = start;
        double fits = Double.NaN;
        double over = Double.NaN;
        double last = Double.NaN;
        double before = Double.NaN;
        for (int s = 0; s < MOST_TRIED && Math.abs(at) < FAR; s++) {
            double taken = bytes.applyAsDouble(at);
            if (taken > budget) {
                over = at;
            } else {
                fits = at;
                if (isFull(taken)) {
                    break;
                }
            }
            if (s > 0 && taken != before) {
                double slope = -Math.log(taken / before) / Math.log(2) / (at - last);
                steepness = Math.clamp(slope, LEAST_STEEPNESS, MOST_STEEPNESS);
            }
            last = at;
            before = taken;
            double change = change(taken);
            if (Double.isNaN(fits) || Double.isNaN(over)) {
                at += Math.copySign(Math.clamp(Math.abs(change), LEAST_MOVE, MOST_MOVE), change);
            } else {
                at = at + change < fits && at + change > over ? at + change : (fits + over) / 2;
            }
        }
        return fits;
    }

    /** How many octaves a step is off that takes so many bytes; where that is too many the last resort is to leave some of the size. */
    double change(double bytes, int tried) {
        double change = change(bytes);
        return bytes > budget ? Math.max(change, LEAST_CHANGE * (1 << tried)) : change;
    }

    private double change(double bytes) {
        return Math.log(bytes / (budget * (1 + FULL) / 2)) / Math.log(2) / steepness;
    }
}
