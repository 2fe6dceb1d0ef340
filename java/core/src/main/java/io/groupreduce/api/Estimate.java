package io.groupreduce.api;

import java.util.function.DoubleUnaryOperator;

/**
 * A mean over the positions of a text, and the interval around it that holds the mean of endless such text in 95 of 100 cases.
 *
 * @param mean of what was measured
 * @param low the interval's lower end; NaN where too little was measured to know it
 * @param high its upper end; NaN where too little was measured
 */
public record Estimate(double mean, double low, double high) {
    /** What was not measured. */
    public static final Estimate UNKNOWN = exact(Double.NaN);

    /** What is known without a measurement. */
    public static Estimate exact(double value) {
        return new Estimate(value, value, value);
    }

    /** Whether both ends of the interval are known. */
    public boolean hasInterval() {
        return !Double.isNaN(low) && !Double.isNaN(high);
    }

    /** The same for a rising function of the mean. */
    public Estimate map(DoubleUnaryOperator rising) {
        return new Estimate(rising.applyAsDouble(mean), rising.applyAsDouble(low), rising.applyAsDouble(high));
    }
}
