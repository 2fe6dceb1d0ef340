package io.groupreduce.internal.compress;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Every way to store a row that rate-distortion chooses from, and what each costs: a rank of a basis in a codec, dense in a
 * codec, or zero.
 *
 * @param plans the ways; {@link GroupPlan#basis} numbers the bases
 * @param costs per plan, what a row costs in the unit of the size target
 * @param model what costs come from
 */
record StoragePlans(List<GroupPlan> plans, double[] costs, SizeModel model) {
    /** Ranks of a basis and codec that are kept however many rows there are. */
    private static final int FEWEST_LEVELS = 8;

    private StoragePlans(List<GroupPlan> plans, SizeModel model) {
        this(plans, plans.stream().mapToDouble(model::row).toArray(), model);
    }

    /**
     * All combinations.
     *
     * @param bases how many bases, 1 to 16
     * @param lowRank codecs of left factors
     * @param dense codecs of dense rows
     * @param most plans at most; at least enough for one rank of every basis in every codec
     */
    static StoragePlans of(int bases, List<Codec> lowRank, List<Codec> dense, int most, SizeModel model) {
        List<GroupPlan> plans = new ArrayList<>();
        plans.add(new GroupPlan(GroupPlan.ZERO, 0, Codec.F32));
        for (Codec codec : dense) {
            plans.add(new GroupPlan(GroupPlan.DENSE, model.columns(), codec));
        }
        int series = bases * lowRank.size();
        int wanted = (Math.min(most, GroupPlan.MAX_GROUPS) - plans.size()) / series;
        int possible = (GroupPlan.MAX_GROUPS - plans.size()) / series;
        int[] levels = RankLevels.of(model.columns(), Math.max(wanted, Math.min(FEWEST_LEVELS, possible)));
        for (int b = 0; b < bases; b++) {
            for (int rank : levels) {
                for (Codec codec : lowRank) {
                    plans.add(new GroupPlan(b, rank, codec));
                }
            }
        }
        return new StoragePlans(List.copyOf(plans), model);
    }

    /** What does not depend on the choice, if all plans are used. */
    double fixed(long rows) {
        return model.fixed(rows, Math.min(plans.size(), rows));
    }

    /** Row costs where ranks above {@code caps[b]} are out of reach. */
    double[] capped(int[] caps) {
        double[] capped = costs.clone();
        for (int p = 0; p < capped.length; p++) {
            GroupPlan plan = plans.get(p);
            if (plan.isLowRank() && plan.rank() > caps[plan.basis()]) {
                capped[p] = Double.POSITIVE_INFINITY;
            }
        }
        return capped;
    }

    /** Without the ranks above {@code caps[b]}. */
    StoragePlans upTo(int[] caps) {
        return new StoragePlans(
                plans.stream()
                        .filter(p -> !p.isLowRank() || p.rank() <= caps[p.basis()])
                        .toList(),
                model);
    }

    /** The ranks of basis b that plans ask for, in rising order. */
    int[] levels(int basis) {
        return plans.stream()
                .filter(p -> p.basis() == basis)
                .mapToInt(GroupPlan::rank)
                .distinct()
                .sorted()
                .toArray();
    }
}
