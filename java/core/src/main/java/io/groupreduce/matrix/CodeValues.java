package io.groupreduce.matrix;

/**
 * What the codes of each width stand for: a signed byte, so that a row of any widths is a row of INT8 numbers times its scale.
 *
 * <p>A code c of b bits, 0 to 2^b - 1, is the value {@code (2 c + 1 - 2^b) half(b)} for b below 8: 2^b values at equal distances, none of
 * them 0 (a midrise quantizer), and {@code c - 128} for b = 8, where c is at least 1. The distances are those of least mean squared error
 * for a Gaussian number (Max 1960, table II) of standard deviation {@link #DEVIATION}, rounded to integers: so one scale of a row serves
 * all widths. Equal distances lose 3 to 4 % more than the best values would and make a sum over codes a plain product.
 */
public final class CodeValues {
    /** The widest code. */
    public static final int MOST_BITS = 8;

    /** The standard deviation, in units of values, that distances are made for. */
    public static final int DEVIATION = 40;

    /** By width, half the distance of neighbours. */
    private static final int[] HALF = {0, 32, 20, 12, 7, 4, 2, 1};

    private static final float[][] TABLES = tables();

    private CodeValues() {}

    private static float[][] tables() {
        float[][] tables = new float[MOST_BITS + 1][];
        for (int bits = 1; bits <= MOST_BITS; bits++) {
            tables[bits] = new float[1 << bits];
            for (int code = 0; code < tables[bits].length; code++) {
                tables[bits][code] = value(bits, code);
            }
        }
        return tables;
    }

    /** By code, the values of a width; callers must not write to it. */
    static float[] table(int bits) {
        return TABLES[bits];
    }

    /** Half the distance of neighbouring values of {@code bits} below 8 bits. */
    public static int half(int bits) {
        return HALF[bits];
    }

    /** The distance of neighbouring values. */
    public static int step(int bits) {
        return bits == MOST_BITS ? 1 : 2 * HALF[bits];
    }

    /** The value of a code. */
    public static int value(int bits, int code) {
        return bits == MOST_BITS ? code - 128 : (2 * code + 1 - (1 << bits)) * HALF[bits];
    }

    /** The largest value of a width; the least is its opposite. */
    public static int largest(int bits) {
        return bits == MOST_BITS ? 127 : ((1 << bits) - 1) * HALF[bits];
    }

    /** The code whose value is nearest to {@code x}; NaN counts as 0. */
    public static int nearest(int bits, float x) {
        if (bits == MOST_BITS) {
            return (int) Math.rint(Math.max(-127f, Math.min(127f, x))) + 128;
        }
        int half = 1 << bits - 1;
        // Clipped before it becomes an integer: what is added to the largest one would turn to the least code.
        double level = Math.max(-half, Math.min(half - 1, Math.floor(x * inverse(bits))));
        return (int) level + half;
    }

    /** What turns a number into units of the distance between values, as every encoder computes it. */
    public static float inverse(int bits) {
        return 1f / step(bits);
    }
}
