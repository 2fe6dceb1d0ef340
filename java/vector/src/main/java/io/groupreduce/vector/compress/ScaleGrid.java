package io.groupreduce.vector.compress;

/** The scales that are weighed for rows of integers: powers of {@code 2^(1/8)}, told by their exponents in eighths. */
final class ScaleGrid {
    /** Exponents are held within these, so that a scale, its inverse and those 3 octaves below are normal numbers. */
    private static final int LEAST = -8 * 90;

    private static final int MOST = 8 * 120;

    /** {@code 2^(i / 8)}. */
    private static final double[] EIGHTHS = new double[8];

    private static final float[] FLOAT_EIGHTHS = new float[8];

    static {
        for (int i = 0; i < 8; i++) {
            EIGHTHS[i] = Math.pow(2, i / 8.0);
            FLOAT_EIGHTHS[i] = (float) EIGHTHS[i];
        }
    }

    private ScaleGrid() {}

    /** The least exponent whose scale clips nothing: {@code ceil(8 log2(largest / maxInteger))}. */
    static int exponent(float largest, int maxInteger) {
        double scale = (double) largest / maxInteger;
        int octave = Math.getExponent(scale);
        if (octave < LEAST / 8) {
            return LEAST;
        }
        double mantissa = Double.longBitsToDouble(Double.doubleToRawLongBits(scale) - ((long) octave << 52));
        int eighth = 0;
        while (eighth < 8 && EIGHTHS[eighth] < mantissa) {
            eighth++;
        }
        return Math.min(8 * octave + eighth, MOST);
    }

    /** {@code 2^(exponent / 8)}. */
    static float scale(int exponent) {
        return Float.intBitsToFloat(((exponent >> 3) + 127) << 23) * FLOAT_EIGHTHS[exponent & 7];
    }
}
