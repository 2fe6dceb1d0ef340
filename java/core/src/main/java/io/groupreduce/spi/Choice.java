package io.groupreduce.spi;

import java.util.Arrays;

/**
 * What a price led every row to choose.
 *
 * @param distortions per plan, the sum over the rows that chose it
 * @param rows per plan, how many rows chose it
 */
public record Choice(double[] distortions, long[] rows) {
    /** The sum over all rows. */
    public double distortion() {
        return Arrays.stream(distortions).reduce(0, Double::sum);
    }
}
