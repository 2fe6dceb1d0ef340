package io.groupreduce.benchmarks.gpu;

import java.util.Arrays;
import java.util.Locale;

/** What repeated runs of one thing took, in milliseconds. */
record Times(double[] milliseconds) {
    double median() {
        return quantile(0.5);
    }

    /** Linear between the two nearest. */
    double quantile(double q) {
        double[] sorted = milliseconds.clone();
        Arrays.sort(sorted);
        double place = q * (sorted.length - 1);
        int below = (int) place;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }

    /** The median and the range of the middle half. */
    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "%s (%s-%s)", digits(median()), digits(quantile(0.25)), digits(quantile(0.75)));
    }

    /** Three digits. */
    static String digits(double value) {
        int decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
        return String.format(Locale.ROOT, "%." + decimals + "f", value);
    }
}
