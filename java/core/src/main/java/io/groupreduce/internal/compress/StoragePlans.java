package io.groupreduce.internal.compress;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Every way to store a row that rate-distortion chooses from, and what each costs: a bit profile of a basis, dense in a codec, or
 * zero.
 *
 * @param plans the ways; {@link GroupPlan#basis} numbers the bases
 * @param costs per plan, what a row costs in the unit of the size target
 * @param prices per plan, what counts when a row chooses: its cost, and the time price of its coordinates
 * @param described per plan, what its description takes
 * @param model what costs come from
 */
record StoragePlans(List<GroupPlan> plans, double[] costs, double[] prices, long[] described, SizeModel model) {
    /**
     * What plans are made for.
     *
     * @param codec of all coordinates, which then have it at every rank; empty for bit profiles
     * @param dense codecs of dense rows
     * @param mean bytes that the size target leaves a row
     * @param most plans at most; at least a few of every basis
     * @param timePrice bytes that a coordinate counts beside its bits
     */
    record Wanted(Optional<Codec> codec, List<Codec> dense, double mean, int most, double timePrice) {
        /**
         * What all of a row's coordinates may be stored in beside profiles. Dense rows in several codes of few bits are asked for where right
         * factors are dear; there a few numbers of one width may do, and of rows with next to all energy these may be wide.
         */
        private List<Codec> uniform() {
            return codec.isEmpty() && dense.containsAll(List.of(Codec.INT3, Codec.INT4)) ? dense : List.of();
        }
    }

    /** Profiles of a basis that are kept however many rows there are. */
    private static final int FEWEST_LEVELS = 8;

    /** From so many profiles of a basis on those of other spectra are among them. */
    private static final int MANY = 120;

    /**
     * What opening a direction costs in bits, in two families of profiles: few bits each for many directions, and more for fewer, which
     * cost less time. Measured: both together at half the levels lose as much as the first alone, with 6 % fewer coordinates.
     */
    private static final double[] OPENINGS = {0, 1.6};

    /** Rows have flatter and steeper spectra than the mean: powers of it that have families too. Measured: 1.5 to 2.5 % less loss. */
    private static final double[] POWERS = {1, 0.7, 1.3};

    /**
     * All of them.
     *
     * @param spectra of the bases, 1 to 16, from which profiles are made
     * @param caps per basis, the directions that profiles share; {@code null} for all
     */
    static StoragePlans of(List<Spectrum> spectra, int[] caps, Wanted wanted, SizeModel model) {
        List<GroupPlan> plans = new ArrayList<>();
        plans.add(GroupPlan.zero());
        for (Codec each : wanted.dense()) {
            plans.add(GroupPlan.dense(model.columns(), each));
        }
        int bases = spectra.size();
        int possible = (GroupPlan.MAX_GROUPS - plans.size()) / bases;
        List<Codec> uniform = wanted.uniform();
        int ranks = uniform.isEmpty() ? 0 : Math.min(FEWEST_LEVELS, possible / (2 * uniform.size()));
        int levels = Math.max(FEWEST_LEVELS, (wanted.most() - plans.size()) / bases);
        levels = Math.min(levels, possible - ranks * uniform.size());
        for (int b = 0; b < bases; b++) {
            double[] energies = spectra.get(b).values();
            int directions = caps == null ? energies.length : Math.min(caps[b], energies.length);
            for (BitProfile profile : profiles(Arrays.copyOf(energies, directions), wanted, levels, ranks)) {
                plans.add(new GroupPlan(b, profile));
            }
        }
        double[] costs = plans.stream().mapToDouble(model::row).toArray();
        double time = model.unit() == SizeUnit.BYTES ? wanted.timePrice() : 0;
        double[] prices = new double[costs.length];
        Arrays.setAll(prices, p -> costs[p] + time * plans.get(p).rank());
        long[] described = plans.stream().mapToLong(model::described).toArray();
        return new StoragePlans(List.copyOf(plans), costs, prices, described, model);
    }

    /** The same with right factors in another codec. */
    StoragePlans withRight(Codec right) {
        return new StoragePlans(plans, costs, prices, described, model.withRight(right));
    }

    private static Iterable<BitProfile> profiles(double[] energies, Wanted wanted, int most, int ranks) {
        if (energies.length == 0) {
            return List.of();
        }
        if (wanted.codec().isPresent()) {
            return Arrays.stream(RankLevels.of(energies.length, most))
                    .mapToObj(rank -> BitProfile.of(wanted.codec().get(), rank))
                    .toList();
        }
        double[] powers = most >= MANY ? POWERS : new double[] {1};
        Set<BitProfile> profiles = new LinkedHashSet<>();
        profiles.add(BitProfile.of(Codec.INT8, 1));
        int[] bytes = ByteLevels.of(
                energies.length, wanted.mean(), Math.max(1, (most - 1) / (powers.length * OPENINGS.length)));
        for (double power : powers) {
            double[] variances =
                    Arrays.stream(energies).map(e -> Math.pow(e, power)).toArray();
            for (double opening : OPENINGS) {
                profiles.addAll(BitAllocation.profiles(variances, bytes, opening));
            }
        }
        for (Codec each : wanted.uniform()) {
            for (int rank : RankLevels.of(energies.length, ranks)) {
                profiles.add(BitProfile.of(each, rank));
            }
        }
        return profiles;
    }

    /** What does not depend on the choice, if rows use the plans that are {@code open}. */
    double fixed(long rows, boolean[] open) {
        return model.fixed(
                rows,
                IntStream.range(0, open.length)
                        .filter(p -> open[p])
                        .mapToLong(p -> described[p])
                        .toArray());
    }

    /** The prices of rows where only some plans are {@code open}, and of those ranks above {@code caps[b]} are out of reach. */
    double[] capped(int[] caps, boolean[] open) {
        double[] capped = prices.clone();
        for (int p = 0; p < capped.length; p++) {
            GroupPlan plan = plans.get(p);
            if (!open[p] || plan.isLowRank() && plan.rank() > caps[plan.basis()]) {
                capped[p] = Double.POSITIVE_INFINITY;
            }
        }
        return capped;
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
