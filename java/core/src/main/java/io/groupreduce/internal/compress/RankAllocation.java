package io.groupreduce.internal.compress;

import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/**
 * The paper's ranks: in proportion to the mean count of a group, at least a minimum, as large as the size allows. A group is
 * dense where its factors would not be smaller than its rows.
 */
final class RankAllocation {
    /** The rank that stands for dense rows while ranks are chosen. */
    private static final int DENSE = -1;

    private static final int BISECTIONS = 80;

    private final SizeModel model;
    private final Codec codec;
    private final long[] sizes;
    private final double[] meanCounts;
    private final int columns;
    /** What a row and a right factor cost by rank, once asked for, which is often; of dense rows in place 0. */
    private final long[] rowCosts;

    private final long[] rightCosts;

    /**
     * Ranks for groups of {@code sizes[p]} rows.
     *
     * @param codec of left factors and dense rows
     * @param meanCounts the mean of (c_i + 1)^alpha over each group's rows; only their proportions matter
     */
    RankAllocation(SizeModel model, Codec codec, long[] sizes, double[] meanCounts) {
        this.model = model;
        this.codec = codec;
        this.sizes = sizes;
        this.meanCounts = meanCounts;
        columns = model.columns();
        rowCosts = new long[columns + 1];
        rightCosts = new long[columns + 1];
    }

    /**
     * rank_p = clip(floor(s * mean count_p), minRank, D) with the largest s that fits; what is left over goes to the most
     * frequent group first, one rank at a time. When even the minimum does not fit it is lowered as far as needed.
     *
     * @param budget the largest allowed size, in the model's unit
     * @return a plan a group, zero for an empty one
     * @throws UnreachableTargetException if not a single direction fits
     */
    List<GroupPlan> proportional(long budget, int minRank) {
        long forFactors = budget - fixed();
        int least = Math.min(minRank, columns);
        while (least > 0 && cost(ranksAt(0, least)) > forFactors) {
            least--;
        }
        double high = 2.0
                * columns
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
        return plans(ranks, budget);
    }

    /** The largest rank that fits, the same for every group. */
    List<GroupPlan> uniform(long budget) {
        long forFactors = budget - fixed();
        int rank = columns;
        while (rank > 0 && cost(ranksOf(rank)) > forFactors) {
            rank--;
        }
        return plans(ranksOf(rank), budget);
    }

    private long fixed() {
        // Ranks are not known yet: those of dense rows are the longest.
        return model.fixed(Arrays.stream(sizes).sum(), Collections.nCopies(sizes.length, plan(0, DENSE)));
    }

    private long cost(int[] ranks) {
        long total = 0;
        for (int p = 0; p < ranks.length; p++) {
            total += sizes[p] == 0 ? 0 : cost(p, ranks[p]);
        }
        return total;
    }

    /** What group p costs at a rank. */
    private long cost(int p, int rank) {
        if (rank == 0) {
            return 0;
        }
        int place = Math.max(0, rank);
        if (rowCosts[place] == 0) {
            rowCosts[place] = model.row(plan(p, rank));
            rightCosts[place] = rank == DENSE ? 0 : model.right(rank);
        }
        return sizes[p] * rowCosts[place] + rightCosts[place];
    }

    private GroupPlan plan(int p, int rank) {
        return switch (rank) {
            case DENSE -> GroupPlan.dense(columns, codec);
            case 0 -> GroupPlan.zero();
            default -> GroupPlan.of(p, rank, codec);
        };
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
                int most = (int) Math.min(columns, sizes[p]);
                ranks[p] = denseWhereNotSmaller(p, (int) Math.min(most, wanted));
            }
        }
        return ranks;
    }

    private int denseWhereNotSmaller(int p, int rank) {
        // Rows have no more directions than there are of them.
        return rank > sizes[p] || cost(p, rank) >= cost(p, DENSE) ? DENSE : rank;
    }

    private void handOut(int[] ranks, long left) {
        Integer[] order = new Integer[ranks.length];
        Arrays.setAll(order, p -> p);
        Arrays.sort(order, Comparator.comparingDouble((Integer p) -> -meanCounts[p]));
        long rest = left;
        for (int p : order) {
            while (sizes[p] > 0 && ranks[p] != DENSE && ranks[p] < columns) {
                int next = denseWhereNotSmaller(p, ranks[p] + 1);
                long more = cost(p, next) - cost(p, ranks[p]);
                if (more > rest) {
                    break;
                }
                rest -= more;
                ranks[p] = next;
            }
        }
    }

    private List<GroupPlan> plans(int[] ranks, long budget) {
        if (Arrays.stream(ranks).allMatch(k -> k == 0)) {
            long smallest = Long.MAX_VALUE;
            for (int p = 0; p < sizes.length; p++) {
                if (sizes[p] > 0) {
                    smallest = Math.min(smallest, Math.min(cost(p, 1), cost(p, DENSE)));
                }
            }
            throw model.noRoom(budget, smallest + fixed());
        }
        List<GroupPlan> plans = new ArrayList<>();
        for (int p = 0; p < ranks.length; p++) {
            plans.add(plan(p, ranks[p]));
        }
        return plans;
    }
}
