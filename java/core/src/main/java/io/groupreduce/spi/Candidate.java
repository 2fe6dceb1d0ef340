package io.groupreduce.spi;

import io.groupreduce.matrix.GroupPlan;
import java.util.List;

/**
 * A place a row can go to.
 *
 * @param basis the basis, or {@link GroupPlan#DENSE} for dense: the residual is 0
 * @param rank how many of the basis's directions a row keeps there; at most what {@code decompose} was asked for
 * @param price what the row's bytes there cost, in units of loss
 */
public record Candidate(int basis, int rank, double price) {
    /** A candidate where the row is stored as it is. */
    public static Candidate dense(double price) {
        return new Candidate(GroupPlan.DENSE, 0, price);
    }

    public boolean isDense() {
        return basis == GroupPlan.DENSE;
    }

    /**
     * The number of the cheapest dense candidate, the first of equally cheap ones, if no other is cheaper; else -1. It is the best of every
     * row, since no residual is below 0.
     */
    public static int unbeatenDense(List<Candidate> candidates) {
        int dense = -1;
        double least = Double.POSITIVE_INFINITY;
        for (int c = 0; c < candidates.size(); c++) {
            Candidate candidate = candidates.get(c);
            if (candidate.isDense() && (dense < 0 || candidate.price < candidates.get(dense).price)) {
                dense = c;
            }
            least = Math.min(least, candidate.price);
        }
        return dense >= 0 && candidates.get(dense).price <= least ? dense : -1;
    }
}
