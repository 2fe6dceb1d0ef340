package io.groupreduce.internal.compress;

import io.groupreduce.error.UnreachableTargetException;
import java.util.Arrays;
import java.util.Comparator;

/**
 * The paper's ranks: in proportion to the mean count of a group, at least a minimum, as large as the size allows. A group is
 * dense ({@link #DENSE}) where its factors would not be smaller than its rows.
 */
public final class RankAllocation {
    /** The rank that stands for rows stored as they are. */
    public static final int DENSE = -1;

    private static final int BISECTIONS = 80;

    private final SizeModel model;
    private final long[] sizes;
    private final double[] meanCounts;

    /**
     * Ranks for groups of {@code sizes[p]} rows.
     *
     * @param meanCounts the mean of (c_i + 1)^alpha over each group's rows; only their proportions matter
     */
    public RankAllocation(SizeModel model, long[] sizes, double[] meanCounts) {
        this.model = model;
        this.sizes = sizes;
        this.meanCounts = meanCounts;
    }

    /**
     * rank_p = clip(floor(s * mean count_p), minRank, D) with the largest s that fits; what is left over goes to the most
     * frequent group first, one rank at a time. When even the minimum does not fit it is lowered as far as needed.
     *
     * @param budget the largest allowed size, in the model's unit
     * @return a rank a group, 0 for an empty one
     * @throws UnreachableTargetException if not a single direction fits
     */
    public int[] proportional(long budget, int minRank) {
        long forFactors = budget - model.fixed(Arrays.stream(sizes).sum(), sizes.length);
        int least = Math.min(minRank, model.columns());
        while (least > 0 && cost(ranksAt(0, least)) > forFactors) {
            least--;
        }
        double high = 2.0
                * model.columns()
                / Arrays.stream(meanCounts).filter(m -> m > 0).min().orElse(1);
        int[] ranks = ranksAt(high, least);
        if (cost(ranks) > forFactors) {
            double low = 0;
            for (int step = 0; step < BISECTIONS; step++) {
                double middle = (low + high) / 2;
                if (cost(ranksAt(middle, least)) <= forFactors) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            ranks = ranksAt(low, least);
            handOut(ranks, forFactors - cost(ranks));
        }
        requireSomething(ranks, budget);
        return ranks;
    }

    /** The largest rank that fits, the same for every group. */
    public int[] uniform(long budget) {
        long forFactors = budget - model.fixed(Arrays.stream(sizes).sum(), sizes.length);
        int rank = model.columns();
        while (rank > 0 && cost(ranksOf(rank)) > forFactors) {
            rank--;
        }
        int[] ranks = ranksOf(rank);
        requireSomething(ranks, budget);
        return ranks;
    }

    /** The size of a choice of ranks, without what is fixed. */
    public long cost(int[] ranks) {
        long total = 0;
        for (int p = 0; p < ranks.length; p++) {
            total += sizes[p] == 0 ? 0 : model.of(sizes[p], ranks[p]);
        }
        return total;
    }

    private int[] ranksOf(int rank) {
        int[] ranks = new int[sizes.length];
        Arrays.setAll(ranks, p -> sizes[p] == 0 ? 0 : denseWhereNotSmaller(p, rank));
        return ranks;
    }

    private int[] ranksAt(double scale, int least) {
        int[] ranks = new int[sizes.length];
        for (int p = 0; p < ranks.length; p++) {
            if (sizes[p] > 0) {
                double wanted = Math.max(least, Math.floor(scale * meanCounts[p]));
                // Fewer rows than columns: no more directions than rows exist.
                int most = (int) Math.min(model.columns(), sizes[p]);
                ranks[p] = denseWhereNotSmaller(p, (int) Math.min(most, wanted));
            }
        }
        return ranks;
    }

    private int denseWhereNotSmaller(int p, int rank) {
        return model.lowRank(sizes[p], rank) >= model.dense(sizes[p]) ? DENSE : rank;
    }

    private void handOut(int[] ranks, long left) {
        Integer[] order = new Integer[ranks.length];
        Arrays.setAll(order, p -> p);
        Arrays.sort(order, Comparator.comparingDouble((Integer p) -> -meanCounts[p]));
        long rest = left;
        for (int p : order) {
            while (sizes[p] > 0 && ranks[p] != DENSE && ranks[p] < model.columns()) {
                int next = denseWhereNotSmaller(p, ranks[p] + 1);
                long more = model.of(sizes[p], next) - model.of(sizes[p], ranks[p]);
                if (more > rest) {
                    break;
                }
                rest -= more;
                ranks[p] = next;
            }
        }
    }

    private void requireSomething(int[] ranks, long budget) {
        if (Arrays.stream(ranks).anyMatch(k -> k != 0)) {
            return;
        }
        long smallest = Long.MAX_VALUE;
        for (long n : sizes) {
            if (n > 0) {
                smallest = Math.min(smallest, Math.min(model.lowRank(n, 1), model.dense(n)));
            }
        }
        smallest += model.fixed(Arrays.stream(sizes).sum(), sizes.length);
        throw SizeModel.noRoom("", budget, model.unit(), smallest);
    }
}
