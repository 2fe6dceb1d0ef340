package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.internal.rows.Levels;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.Directions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Plans as the rating kernels read them (GrRateBasis, GrRatePlan and GrWholePlan of {@code encode.h}), and the
 * projections of all bases, one below the other, so that one matrix product makes the coordinates of all.
 */
final class RatingTables {
    /** Bytes of {@code GrRateBasis}. */
    private static final int BASIS_BYTES = 48;
    /** Bytes of {@code GrRatePlan}. */
    private static final int PLAN_BYTES = 64;
    /** Bytes of {@code GrWholePlan}. */
    private static final int WHOLE_PLAN_BYTES = 80;

    /** The mean squared relative error of rounding to bfloat16. */
    private static final double BF16_NOISE = Math.scalb(1.0, -18) / 3;

    private final int coordinates;
    private final int bases;
    private final int mostLevels;
    private final int wholePlans;
    private final boolean codes;
    private final long basisTable;
    private final long wholeTable;
    private final DeviceImage image;
    private final FloatTables projections;

    /** A basis that plans ask for: its number, their ranks, and where its coordinates begin in a row of all. */
    private record Rated(int basis, Levels levels, int offset) {
        int longest() {
            return levels.longest();
        }
    }

    /**
     * Copies the tables.
     *
     * @param type of the matrix: dense rows of bfloat16 lose nothing where it holds nothing else
     * @param columns D
     * @param trace {@code trace(S^2)}: what noise of variance 1 in every number of a row loses
     */
    RatingTables(
            Owned owned, List<Directions> directions, List<GroupPlan> plans, DType type, int columns, double trace) {
        List<Rated> rated = rated(directions.size(), plans);
        Rated last = rated.isEmpty() ? null : rated.getLast();
        coordinates = last == null ? 0 : last.offset() + last.longest();
        bases = rated.size();
        mostLevels = rated.stream().mapToInt(r -> r.levels().count()).max().orElse(1);
        List<Integer> whole = IntStream.range(0, plans.size())
                .filter(p -> !plans.get(p).isLowRank())
                .boxed()
                .toList();
        wholePlans = whole.size();
        codes = whole.stream().map(plans::get).anyMatch(RatingTables::isDenseCodes);
        int levels = rated.stream().mapToInt(r -> r.levels().count()).sum();
        int capacity = BASIS_BYTES * bases
                + PLAN_BYTES * plans.size()
                + WHOLE_PLAN_BYTES * wholePlans
                + Float.BYTES * (2 * coordinates + levels)
                + Long.BYTES * (2 + bases);
        image = new DeviceImage(owned, capacity, "the plans that rows are rated for");
        wholeTable = writeWhole(plans, whole, type, trace / columns);
        basisTable = writeBases(directions, plans, rated);
        image.upload();
        projections = new FloatTables(
                owned,
                "the projections of the bases",
                rated.stream().map(r -> directions.get(r.basis()).projection()).toList(),
                rated.stream().mapToInt(r -> r.longest() * columns).toArray());
    }

    private static List<Rated> rated(int bases, List<GroupPlan> plans) {
        List<Rated> rated = new ArrayList<>();
        int offset = 0;
        for (int b = 0; b < bases; b++) {
            int basis = b;
            Levels levels = Levels.of(plans, b);
            if (plans.stream().anyMatch(p -> p.basis() == basis)) {
                rated.add(new Rated(b, levels, offset));
                offset += levels.longest();
            }
        }
        return rated;
    }

    private static boolean isDenseCodes(GroupPlan plan) {
        return plan.isDense() && plan.profile().scaled();
    }

    private long writeWhole(List<GroupPlan> plans, List<Integer> whole, DType type, double ofSquaredError) {
        long address = image.align(Double.BYTES);
        for (int p : whole) {
            GroupPlan plan = plans.get(p);
            BitProfile profile = plan.profile();
            boolean rounds = profile.most() == Short.SIZE && type != DType.BF16;
            double ofEnergy = plan.isZero() ? 1 : rounds ? BF16_NOISE : 0;
            image.f64(ofEnergy, isDenseCodes(plan) ? ofSquaredError : 0).i32(p);
            image.i32(RowForm.of(plan, ScaleFormat.BF16)).align(Double.BYTES);
        }
        return address;
    }

    private long writeBases(List<Directions> directions, List<GroupPlan> plans, List<Rated> rated) {
        List<long[]> addresses = new ArrayList<>();
        for (Rated of : rated) {
            Directions basis = directions.get(of.basis());
            float[] scales = basis.scales() == null ? ones(of.longest()) : basis.scales();
            float[] weights = basis.scales() == null ? scales : basis.errorWeights();
            addresses.add(new long[] {
                image.floats(scales, of.longest()),
                image.floats(weights, of.longest()),
                image.ints(of.levels().ranks()),
                writePlans(plans, of)
            });
        }
        long address = image.align(Long.BYTES);
        for (int r = 0; r < rated.size(); r++) {
            Rated of = rated.get(r);
            image.i64(addresses.get(r));
            int own = (int) plans.stream().filter(p -> p.basis() == of.basis()).count();
            image.i32(own, of.levels().count(), of.offset()).align(Long.BYTES);
        }
        return address;
    }

    private long writePlans(List<GroupPlan> plans, Rated of) {
        long address = image.align(Integer.BYTES);
        for (int p = 0; p < plans.size(); p++) {
            GroupPlan plan = plans.get(p);
            if (plan.basis() == of.basis()) {
                image.i32(p, of.levels().of(plan.rank())).i32(RowForm.of(plan, ScaleFormat.LOG8));
            }
        }
        return address;
    }

    private static float[] ones(int count) {
        float[] ones = new float[count];
        Arrays.fill(ones, 1);
        return ones;
    }

    /** The sum of the bases' longest ranks. */
    int coordinates() {
        return coordinates;
    }

    /** Bases that plans ask for. */
    int bases() {
        return bases;
    }

    /** Ranks of the basis that has most, 0 among them. */
    int mostLevels() {
        return mostLevels;
    }

    /** Plans without coordinates: zero and dense ones. */
    int wholePlans() {
        return wholePlans;
    }

    /** Whether one of those stores codes of a row's numbers. */
    boolean asksForCodes() {
        return codes;
    }

    /** The device address of the bases' structures. */
    long basisTable() {
        return basisTable;
    }

    /** The device address of the structures of plans without coordinates. */
    long wholeTable() {
        return wholeTable;
    }

    /** The device address of the projections, {@link #coordinates} x D. */
    long projections() {
        return projections.address(0);
    }
}
