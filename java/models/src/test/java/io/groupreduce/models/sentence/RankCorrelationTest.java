package io.groupreduce.models.sentence;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Estimate;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RankCorrelationTest {
    private static final int PAIRS = 100;

    private final Random random = new Random(5);

    private double[] noisy(double[] values, double noise) {
        return Arrays.stream(values)
                .map(value -> value + noise * random.nextGaussian())
                .toArray();
    }

    /** By the definition: a rank is one more than how many are below, and half of how many others are equal. */
    private static double naive(double[] a, double[] b) {
        double[] x = naiveRanks(a);
        double[] y = naiveRanks(b);
        double meanX = Arrays.stream(x).average().orElseThrow();
        double meanY = Arrays.stream(y).average().orElseThrow();
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xy += (x[i] - meanX) * (y[i] - meanY);
            xx += (x[i] - meanX) * (x[i] - meanX);
            yy += (y[i] - meanY) * (y[i] - meanY);
        }
        return xy / Math.sqrt(xx * yy);
    }

    private static double[] naiveRanks(double[] values) {
        return Arrays.stream(values)
                .map(value -> 1
                        + Arrays.stream(values).filter(other -> other < value).count()
                        + (Arrays.stream(values).filter(other -> other == value).count() - 1) / 2.0)
                .toArray();
    }

    @Test
    void ranksCountAndTiesShareTheirs() {
        assertEquals(1, RankCorrelation.of(new double[] {1, 2, 9}, new double[] {-5, 0, 1e9}), 1e-12);
        assertEquals(-1, RankCorrelation.of(new double[] {1, 2, 9}, new double[] {3, 2, 1}), 1e-12);
        // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 x 5).
        assertEquals(Math.sqrt(0.9), RankCorrelation.of(new double[] {1, 2, 2, 3}, new double[] {1, 2, 3, 4}), 1e-12);
        double[] scores = random.doubles(PAIRS).map(x -> Math.rint(5 * x)).toArray();
        double[] cosines = noisy(scores, 2);
        assertEquals(naive(scores, cosines), RankCorrelation.of(scores, cosines), 1e-12);
    }

    @Test
    void whatDoesNotChangeHasNoDifference() {
        double[] scores = random.doubles(PAIRS).toArray();
        double[] before = noisy(scores, 0.3);
        assertEquals(Estimate.exact(0), RankCorrelation.difference(scores, before, before.clone()));
    }

    /** Of models that are as good as each other, with errors that have nothing to do with each other. */
    @Test
    void theIntervalHoldsTheTrueDifferenceAsOftenAsItSays() {
        int held = 0;
        int trials = 200;
        for (int trial = 0; trial < trials; trial++) {
            double[] scores = random.doubles(60).toArray();
            Estimate found = RankCorrelation.difference(scores, noisy(scores, 0.3), noisy(scores, 0.3), 400);
            held += found.low() <= 0 && 0 <= found.high() ? 1 : 0;
        }
        double share = (double) held / trials;
        assertTrue(share >= 0.9 && share <= 0.99, "held in " + share);
    }

    @Test
    void whatIsClearlyWorseIsSaidToBe() {
        double[] scores = random.doubles(PAIRS).toArray();
        double[] before = noisy(scores, 0.1);
        double[] after = noisy(before, 0.4);
        Estimate found = RankCorrelation.difference(scores, before, after);
        assertEquals(naive(scores, after) - naive(scores, before), found.mean(), 1e-12);
        assertTrue(found.low() < found.mean() && found.mean() < found.high() && found.high() < 0, found.toString());
        assertEquals(found, RankCorrelation.difference(scores, before, after), "the same at every run");
    }

    /** A draw may hold one score alone, and then there is no correlation. */
    @Test
    void drawsWithoutOrderAreLeftOut() {
        double[] scores = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2};
        double[] before = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        double[] after = {1, 2, 3, 4, 10, 6, 7, 8, 9, 5};
        Estimate found = RankCorrelation.difference(scores, before, after);
        assertTrue(
                found.hasInterval() && found.low() <= found.mean() && found.mean() <= found.high(), found.toString());
    }
}
