package io.groupreduce.internal.compress;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.util.ArrayList;
import java.util.List;

/**
 * Every way to store a row that rate-distortion chooses from, and what each costs: a rank of a basis in a codec, dense in a
 * codec, or zero.
 *
 * @param plans the ways; {@link GroupPlan#basis} numbers the bases
 * @param bytes per plan, what a row costs in the unit of the size target
 * @param unit bytes or parameters
 * @param columns D
 * @param right codec of right factors
 */
record StoragePlans(List<GroupPlan> plans, double[] bytes, SizeUnit unit, int columns, Codec right) {
    /**
     * Right factors and dense rows keep the magnitude that matrix and metric have, whatever it is, and the bytes of their scales
     * are few.
     */
    static final ScaleFormat WIDE_SCALES = ScaleFormat.BF16;

    /** Ranks of a basis and codec that are kept however many rows there are. */
    private static final int FEWEST_LEVELS = 8;

    /**
     * Numbers of a right factor that share a scale. Its error reaches every row, and a direction may lie near one axis: then
     * a scale for all D numbers leaves most of them none of the 127 levels.
     */
    static final int RIGHT_BLOCK = CompressedMatrix.SCALE_BLOCK;

    /** A file numbers at most this many groups. */
    private static final int MOST = 255;

    /**
     * All combinations.
     *
     * @param bases how many bases, 1 to 16
     * @param lowRank codecs of left factors
     * @param dense codecs of dense rows
     * @param most plans at most; at least enough for one rank of every basis in every codec
     */
    static StoragePlans of(
            int bases, int columns, List<Codec> lowRank, List<Codec> dense, Codec right, SizeUnit unit, int most) {
        List<GroupPlan> plans = new ArrayList<>();
        plans.add(new GroupPlan(GroupPlan.ZERO, 0, Codec.F32));
        for (Codec codec : dense) {
            plans.add(new GroupPlan(GroupPlan.DENSE, columns, codec));
        }
        int series = bases * lowRank.size();
        int wanted = (Math.min(most, MOST) - plans.size()) / series;
        int possible = (MOST - plans.size()) / series;
        int[] levels = RankLevels.of(columns, Math.max(wanted, Math.min(FEWEST_LEVELS, possible)));
        for (int b = 0; b < bases; b++) {
            for (int rank : levels) {
                for (Codec codec : lowRank) {
                    plans.add(new GroupPlan(b, rank, codec));
                }
            }
        }
        double[] bytes =
                plans.stream().mapToDouble(p -> rowBytes(p, columns, unit)).toArray();
        return new StoragePlans(List.copyOf(plans), bytes, unit, columns, right);
    }

    private static double rowBytes(GroupPlan plan, int columns, SizeUnit unit) {
        if (unit == SizeUnit.PARAMETERS) {
            return plan.rank();
        }
        return plan.isZero()
                ? 0
                : EncodedMatrix.storedBytes(plan.codec(), 1, plan.rank(), block(plan, columns), scales(plan));
    }

    /** Numbers of a row that share a scale. */
    static int block(GroupPlan plan, int columns) {
        return plan.isDense() ? SizeModel.denseBlock(plan.codec(), columns) : plan.rank();
    }

    /**
     * A scale of coordinates takes one byte: measured, a second one buys less than another coordinate does. {@link
     * StartingBases} sees to it that they are of a size that the one byte reaches.
     */
    static ScaleFormat scales(GroupPlan plan) {
        return plan.isDense() ? WIDE_SCALES : ScaleFormat.LOG8;
    }

    /** What a right factor of k directions costs. */
    double rightBytes(int rank) {
        return unit == SizeUnit.PARAMETERS
                ? (double) rank * columns
                : EncodedMatrix.storedBytes(right, rank, columns, RIGHT_BLOCK, WIDE_SCALES);
    }

    /** What does not depend on the choice: a group number a row, and a basis number a group, if all of them are used. */
    double fixedBytes(long rows) {
        return unit == SizeUnit.PARAMETERS ? 0 : rows + Math.min(plans.size(), rows);
    }

    /** Row costs where ranks above {@code caps[b]} are out of reach. */
    double[] capped(int[] caps) {
        double[] capped = bytes.clone();
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
        List<GroupPlan> kept = plans.stream()
                .filter(p -> !p.isLowRank() || p.rank() <= caps[p.basis()])
                .toList();
        return new StoragePlans(
                kept, kept.stream().mapToDouble(p -> rowBytes(p, columns, unit)).toArray(), unit, columns, right);
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
