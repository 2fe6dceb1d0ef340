package io.groupreduce.benchmarks.head;

import java.util.Arrays;
import java.util.Locale;

/**
 * What a contestant took, in seconds.
 *
 * @param rounds per round the median of its calls
 */
record Timing(double[] rounds) {
    double median() {
        return median(rounds);
    }

    /** Median and spread over the rounds, in microseconds. */
    String micros() {
        double[] sorted = rounds.clone();
        Arrays.sort(sorted);
        return micros(median()) + " (" + micros(sorted[0]) + "-" + micros(sorted[sorted.length - 1]) + ")";
    }

    private static String micros(double seconds) {
        return String.format(Locale.ROOT, seconds < 1e-4 ? "%.1f" : "%.0f", 1e6 * seconds);
    }

    /** How many times as long {@code other} took, the median over rounds of what was measured side by side. */
    double times(Timing other) {
        double[] ratios = new double[rounds.length];
        Arrays.setAll(ratios, r -> other.rounds[r] / rounds[r]);
        return median(ratios);
    }

    /** {@link #times} with the spread over the rounds. */
    String timesWithSpread(Timing other) {
        double[] ratios = new double[rounds.length];
        Arrays.setAll(ratios, r -> other.rounds[r] / rounds[r]);
        Arrays.sort(ratios);
        return String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", median(ratios), ratios[0], ratios[ratios.length - 1]);
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
