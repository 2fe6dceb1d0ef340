package io.groupreduce.internal.compress;

import io.groupreduce.api.Estimate;

/**
 * Means of T numbers in the order of a text, with 95 % intervals. Neighbours are alike, so the spread of single numbers would tell
 * too little: the numbers are cut into about sqrt(T) runs of about sqrt(T), and the means of the runs, which are nearly independent, are
 * what spreads (Jones, Haran, Caffo, Neath: Fixed-width output analysis for Markov chain Monte Carlo, JASA 101, 2006).
 */
final class BatchMeans {
    /** Of the normal distribution: 2.5 % lie beyond it. */
    private static final double NORMAL = 1.959963984540054;

    private final int count;
    private final double mean;
    private final int batches;
    /** Squared standard error of the mean. */
    private final double variance;

    private BatchMeans(double[] values) {
        count = values.length;
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        mean = sum / count;
        batches = count / (int) Math.sqrt(count);
        double squares = 0;
        for (int b = 0; b < batches; b++) {
            double excess = 0;
            for (int t = begin(b); t < begin(b + 1); t++) {
                excess += values[t] - mean;
            }
            squares += excess * excess;
        }
        variance = squares / count / count * batches / (batches - 1);
    }

    /** Lengths differ by one at most. */
    private int begin(int batch) {
        return (int) ((long) count * batch / batches);
    }

    /** The mean, with an interval of Student's t; none of a single number. */
    static Estimate of(double[] values) {
        BatchMeans found = new BatchMeans(values);
        double half = student(found.batches - 1) * Math.sqrt(found.variance);
        return new Estimate(found.mean, found.mean - half, found.mean + half);
    }

    /**
     * The mean of numbers from 0 to 1, with Wilson's interval for so many independent ones as have the same standard error. Where all are
     * 1, or 0, nothing tells that they depend on each other, and it is that of T.
     */
    static Estimate ofShares(double[] values) {
        BatchMeans found = new BatchMeans(values);
        double p = found.mean;
        double n = found.variance > 0 ? Math.max(1, p * (1 - p) / found.variance) : found.count;
        double t = student(found.batches - 1);
        double middle = (p + t * t / (2 * n)) / (1 + t * t / n);
        double half = t / (1 + t * t / n) * Math.sqrt(p * (1 - p) / n + t * t / (4 * n * n));
        return new Estimate(p, Math.max(0, middle - half), Math.min(1, middle + half));
    }

    /**
     * What 2.5 % of Student's t lie beyond: in closed form for one and two degrees of freedom, by the Cornish-Fisher expansion for more
     * (error under 0.2 %); NaN for none.
     */
    static double student(int freedom) {
        double z = NORMAL;
        double z2 = z * z;
        double v = freedom;
        return switch (freedom) {
            case 0 -> Double.NaN;
            case 1 -> Math.tan(0.475 * Math.PI);
            case 2 -> 0.95 * Math.sqrt(2 / (1 - 0.95 * 0.95));
            default ->
                z
                        * (1
                                + (z2 + 1) / (4 * v)
                                + ((5 * z2 + 16) * z2 + 3) / (96 * v * v)
                                + (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * v * v * v)
                                + ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / (92160 * v * v * v * v));
        };
    }
}
