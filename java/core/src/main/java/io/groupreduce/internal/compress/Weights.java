package io.groupreduce.internal.compress;

/** Row weights w_i = (c_i + 1)^alpha. A token that never occurred still counts a little, so nothing divides by zero. */
public final class Weights {
    private Weights() {}

    /** The weights as they are: (c_i + 1)^alpha. */
    public static double[] raw(long[] counts, double alpha) {
        double[] weights = new double[counts.length];
        for (int i = 0; i < counts.length; i++) {
            double mass = counts[i] + 1.0;
            weights[i] = alpha == 1 ? mass : Math.pow(mass, alpha);
        }
        return weights;
    }

    /** The weights scaled to mean 1, so that losses of different corpora have one unit. */
    public static float[] scaledToMeanOne(double[] raw) {
        double sum = 0;
        for (double w : raw) {
            sum += w;
        }
        double scale = raw.length / sum;
        float[] weights = new float[raw.length];
        for (int i = 0; i < raw.length; i++) {
            weights[i] = (float) (raw[i] * scale);
        }
        return weights;
    }
}
