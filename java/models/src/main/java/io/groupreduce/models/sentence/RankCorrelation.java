package io.groupreduce.models.sentence;

import io.groupreduce.api.Estimate;
import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Spearman's correlation: Pearson's, of ranks; equal numbers share the mean of their ranks. What a difference of two of them on the same pairs is
 * worth is told by the bootstrap (Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13): pairs are drawn with replacement, and
 * both correlations are computed of the same draw.
 */
final class RankCorrelation {
    private static final int DRAWS = 10_000;
    private static final long SEED = 1;

    /** What 2.5 % of the draws lie below, and above. */
    private static final double TAIL = 0.025;

    /** Indices of the numbers, rising. */
    private final int[] order;

    private final double[] values;
    private final double[] ranks;

    private RankCorrelation(double[] values) {
        this.values = values;
        ranks = new double[values.length];
        order = IntStream.range(0, values.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> values[i]))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /** Spearman's correlation of two lists of the same length; NaN where all numbers of one are equal. */
    static double of(double[] a, double[] b) {
        int[] once = new int[a.length];
        Arrays.fill(once, 1);
        return pearson(once, new RankCorrelation(a).ranks(once), new RankCorrelation(b).ranks(once));
    }

    /** How much higher the correlation of {@code after} with the scores is than that of {@code before}, with a 95 % interval. */
    static Estimate difference(double[] scores, double[] before, double[] after) {
        return difference(scores, before, after, DRAWS);
    }

    static Estimate difference(double[] scores, double[] before, double[] after, int draws) {
        int count = scores.length;
        RankCorrelation s = new RankCorrelation(scores);
        RankCorrelation b = new RankCorrelation(before);
        RankCorrelation a = new RankCorrelation(after);
        SplittableRandom random = new SplittableRandom(SEED);
        double[] differences = new double[draws];
        for (int draw = 0; draw < draws; draw++) {
            do {
                int[] times = new int[count];
                for (int i = 0; i < count; i++) {
                    times[random.nextInt(count)]++;
                }
                double[] wanted = s.ranks(times);
                differences[draw] = pearson(times, wanted, a.ranks(times)) - pearson(times, wanted, b.ranks(times));
                // A draw may hold one score alone.
            } while (Double.isNaN(differences[draw]));
        }
        Arrays.sort(differences);
        return new Estimate(
                of(scores, after) - of(scores, before),
                differences[(int) (TAIL * draws)],
                differences[draws - 1 - (int) (TAIL * draws)]);
    }

    /** Ranks in a list that has each number so many times; those of numbers that it has not at all mean nothing. */
    private double[] ranks(int[] times) {
        double below = 0;
        for (int from = 0, to; from < order.length; from = to) {
            int equal = 0;
            for (to = from; to < order.length && values[order[to]] == values[order[from]]; to++) {
                equal += times[order[to]];
            }
            for (int i = from; i < to; i++) {
                ranks[order[i]] = below + (equal + 1) / 2.0;
            }
            below += equal;
        }
        return ranks;
    }

    private static double pearson(int[] times, double[] a, double[] b) {
        double count = 0;
        double meanA = 0;
        double meanB = 0;
        for (int i = 0; i < times.length; i++) {
            count += times[i];
            meanA += times[i] * a[i];
            meanB += times[i] * b[i];
        }
        meanA /= count;
        meanB /= count;
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < times.length; i++) {
            ab += times[i] * (a[i] - meanA) * (b[i] - meanB);
            aa += times[i] * (a[i] - meanA) * (a[i] - meanA);
            bb += times[i] * (b[i] - meanB) * (b[i] - meanB);
        }
        return ab / Math.sqrt(aa * bb);
    }
}
