package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Estimate;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BatchMeansTest {
    private static final int TRIALS = 1000;
    private static final int LENGTH = 1000;

    private final Random random = new Random(7);

    /** Each number is what is left of the one before, and something new; with spread 1. */
    private double[] text(double kept, int length) {
        double[] values = new double[length];
        values[0] = random.nextGaussian();
        for (int t = 1; t < length; t++) {
            values[t] = kept * values[t - 1] + Math.sqrt(1 - kept * kept) * random.nextGaussian();
        }
        return values;
    }

    /** The formula of independent numbers holds the mean in 74 % of the cases at 0.5, and in 49 % at 0.8. */
    @ParameterizedTest
    @CsvSource({"0, 0.94, 0.96", "0.5, 0.92, 0.96", "0.8, 0.87, 0.95"})
    void theIntervalHoldsTheMeanAsOftenAsItSays(double kept, double least, double most) {
        int held = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            Estimate found = BatchMeans.of(text(kept, LENGTH));
            assertEquals(found.mean(), (found.low() + found.high()) / 2, 1e-12);
            held += found.low() <= 0 && 0 <= found.high() ? 1 : 0;
        }
        double share = (double) held / TRIALS;
        assertTrue(share >= least && share <= most, "held in " + share);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.5, 0.9, 0.99})
    void sharesStayBetween0And1(double p) {
        int held = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            double[] values = new double[LENGTH];
            Arrays.setAll(values, t -> random.nextDouble() < p ? 1 : 0);
            Estimate found = BatchMeans.ofShares(values);
            assertTrue(found.low() >= 0 && found.high() <= 1);
            held += found.low() <= p && p <= found.high() ? 1 : 0;
        }
        double share = (double) held / TRIALS;
        assertTrue(share >= 0.93 && share <= 0.98, "held in " + share);
    }

    /** Wilson's interval of 1000 of 1000: t^2 / (1000 + t^2) is left out. */
    @Test
    void thatNoneDiffersProvesNotThatNoneWill() {
        double[] ones = new double[LENGTH];
        Arrays.fill(ones, 1);
        double t = BatchMeans.student(31);
        assertEquals(1 - t * t / (LENGTH + t * t), BatchMeans.ofShares(ones).low(), 1e-12);
        assertEquals(1, BatchMeans.ofShares(ones).high());
        assertEquals(0, BatchMeans.ofShares(new double[LENGTH]).low());
    }

    @Test
    void batchesMayDifferInLengthByOne() {
        // Batches {1, 2} and {3, 4, 9}: excesses over the mean 3.8 are -4.6 and 4.6, t of one degree of freedom.
        Estimate found = BatchMeans.of(new double[] {1, 2, 3, 4, 9});
        assertEquals(3.8, found.mean(), 1e-12);
        assertEquals(BatchMeans.student(1) * Math.sqrt(2 * 4.6 * 4.6 / 25 * 2), found.high() - found.mean(), 1e-9);
    }

    @Test
    void aSingleNumberHasNoInterval() {
        Estimate found = BatchMeans.of(new double[] {3});
        assertEquals(3, found.mean());
        assertFalse(found.hasInterval());
        assertFalse(BatchMeans.ofShares(new double[] {1}).hasInterval());
        assertTrue(BatchMeans.of(new double[] {3, 4}).hasInterval());
    }

    /** Values of printed tables. */
    @ParameterizedTest
    @CsvSource({
        "1, 12.7062",
        "2, 4.30265",
        "3, 3.18245",
        "4, 2.77645",
        "5, 2.57058",
        "10, 2.22814",
        "30, 2.04227",
        "99, 1.98422",
        "1000, 1.96234"
    })
    void studentsTIsThatOfTheTables(int freedom, double expected) {
        assertEquals(expected, BatchMeans.student(freedom), 2e-3 * expected);
    }
}
