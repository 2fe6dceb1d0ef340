package io.groupreduce.internal.rows;

import java.util.function.IntConsumer;

/** The rows of largest positive value, found by counting: two passes for the least value that is among them, one for the rows. */
public final class LargestRows {
    private static final int HALF = 1 << 16;

    /** The bits of the least value taken. */
    private int least;

    /** How many rows of just that value are taken, the first ones. */
    private int ties;

    private LargestRows() {}

    /**
     * Visits the rows of largest value in the order of their numbers; of equal ones the lower rows are taken.
     *
     * @param values one a row; only those above {@code above} count
     * @param above at least 0
     * @param most how many rows are taken, all where there are no more
     */
    public static void forEach(float[] values, double above, int most, IntConsumer row) {
        LargestRows largest = new LargestRows();
        largest.select(values, above, most);
        int open = largest.ties;
        for (int i = 0; i < values.length; i++) {
            // Bits of positive numbers order as the numbers do.
            int bits = Float.floatToRawIntBits(values[i]);
            if (values[i] > above && bits >= largest.least && (bits > largest.least || open-- > 0)) {
                row.accept(i);
            }
        }
    }

    private void select(float[] values, double above, int most) {
        // Without the sign.
        int[] upper = new int[HALF / 2];
        for (float value : values) {
            if (value > above) {
                upper[Float.floatToRawIntBits(value) >>> 16]++;
            }
        }
        ties = most;
        int high = descend(upper);
        int[] lower = new int[HALF];
        for (float value : values) {
            int bits = Float.floatToRawIntBits(value);
            if (value > above && bits >>> 16 == high) {
                lower[bits & HALF - 1]++;
            }
        }
        least = high << 16 | descend(lower);
    }

    /** The digit, from the largest down, at which all that is open is found; what lies above it is taken off. */
    private int descend(int[] found) {
        int digit = found.length - 1;
        while (digit > 0 && found[digit] < ties) {
            ties -= found[digit--];
        }
        return digit;
    }
}
