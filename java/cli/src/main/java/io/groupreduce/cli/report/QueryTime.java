package io.groupreduce.cli.report;

import java.util.Locale;

/**
 * How long the ten likeliest tokens of one hidden state take, measured, and by a simple model: what any query takes, then the longer of
 * reading and multiplying. All constants of the model were measured on the same backend.
 *
 * @param measured seconds
 * @param bytes what a query reads: factors, dense rows, scales
 * @param numbers that it multiplies: those of factors and dense rows
 * @param overhead seconds of a query of next to nothing
 * @param bandwidth bytes a second, read from as much memory
 * @param rate numbers a second, of rows of int4 in a cache
 */
public record QueryTime(double measured, long bytes, long numbers, double overhead, double bandwidth, double rate) {
    /** Seconds, by the model. */
    public double predicted() {
        return overhead + Math.max(bytes / bandwidth, numbers / rate);
    }

    /** Both times and where the second one comes from. */
    public String sentence() {
        return String.format(
                Locale.ROOT,
                "One query (ten likeliest tokens) takes %.3f ms, measured; %.3f ms are predicted: %.3f ms for any, then the"
                        + " longer of reading %s at %.1f GB/s and multiplying %s numbers at %.1f G/s.",
                measured * 1e3,
                predicted() * 1e3,
                overhead * 1e3,
                Figures.bytes(bytes),
                bandwidth / 1e9,
                Figures.count(numbers),
                rate / 1e9);
    }
}
