package io.groupreduce.internal.rows;

import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The distinct ranks that plans of one basis keep. Segment l of the coordinates lies between level l - 1 and level l, so sums
 * over segments serve every level in one pass.
 *
 * @param ranks ascending, beginning with 0
 */
public record Levels(int[] ranks) {
    /** The ranks of one basis, and 0. */
    public static Levels of(List<GroupPlan> plans, int basis) {
        IntStream kept = plans.stream().filter(p -> p.basis() == basis).mapToInt(GroupPlan::rank);
        return new Levels(
                IntStream.concat(IntStream.of(0), kept).sorted().distinct().toArray());
    }

    /** How many ranks there are. */
    public int count() {
        return ranks.length;
    }

    /** The largest rank. */
    public int longest() {
        return ranks[ranks.length - 1];
    }

    /** The level of a rank. */
    public int of(int rank) {
        return Arrays.binarySearch(ranks, rank);
    }
}
