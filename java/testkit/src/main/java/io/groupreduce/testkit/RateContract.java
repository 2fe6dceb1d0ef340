package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What every backend must do when it rates rows and chooses among plans, held against {@link ReferenceBackend}: odd ranks, all
 * codecs and bits that fall, one basis and three, with and without scales and metric.
 */
public abstract class RateContract extends Contract {
    private static final int ROWS = 205;

    private static Stream<CompressionCase> cases() {
        return LongStream.rangeClosed(1, 5).mapToObj(seed -> new CompressionCase(seed, ROWS));
    }

    /** What a case's rows can become. */
    private static final class Plans {
        final List<Directions> bases = new ArrayList<>();
        final List<GroupPlan> plans = new ArrayList<>();
        final double[] bytes;

        Plans(CompressionCase c) {
            int count = c.seed < 3 ? 1 : CompressionCase.BASES;
            int columns = c.matrix.columns();
            plans.add(GroupPlan.dense(columns, Codec.F32));
            try (ComputeBackend backend = new ReferenceBackend();
                    CompressionWorkspace workspace = backend.open(c.problem)) {
                List<Spectrum> spectra = c.spectra(workspace, c.basisOf);
                for (int b = 0; b < count; b++) {
                    Directions directions = workspace.directions(b, c.ranks[b]);
                    float[] scales = new float[c.ranks[b]];
                    for (int k = 0; k < scales.length; k++) {
                        // About what gives all coordinates the same deviation, as scales are meant to.
                        double energy = spectra.get(b).values()[k]
                                + 1e-6 * spectra.get(b).trace();
                        scales[k] = (float) ((1 + 0.1 * (k % 3)) / Math.sqrt(energy));
                    }
                    bases.add(b == 1 ? directions : directions.withScales(scales));
                    addPlans(b, c.ranks[b]);
                }
            }
            plans.add(GroupPlan.zero());
            for (Codec codec : List.of(Codec.INT3, Codec.INT4, Codec.INT8, Codec.BF16)) {
                plans.add(GroupPlan.dense(columns, codec));
            }
            bytes = new double[plans.size()];
            for (int p = 0; p < bytes.length; p++) {
                GroupPlan plan = plans.get(p);
                bytes[p] = 1 + plan.profile().rowBytes() + (plan.profile().scaled() ? 1 : 0);
            }
        }

        private void addPlans(int basis, int longest) {
            int[] ranks = {longest, 0, 1, Math.min(5, longest), (longest + 1) / 2, longest - 1};
            for (int rank : Arrays.stream(ranks).distinct().toArray()) {
                for (Codec codec : Codec.values()) {
                    plans.add(GroupPlan.of(basis, rank, codec));
                }
                for (int most : new int[] {8, 6, 2}) {
                    plans.add(new GroupPlan(basis, CompressionCase.falling(most, rank)));
                }
            }
            // The same as the last one: the lower number must win.
            plans.add(plans.get(plans.size() - 1));
        }

        /** Bytes that leave one plan only. */
        double[] only(int plan) {
            double[] only = new double[bytes.length];
            Arrays.fill(only, Double.POSITIVE_INFINITY);
            only[plan] = 0;
            return only;
        }

        /** Rows x plans, by the reference: every row as a problem of its own. */
        double[][] distortions(CompressionCase c) {
            double[][] distortions = new double[c.matrix.rows()][plans.size()];
            float[] row = new float[c.matrix.columns()];
            try (ComputeBackend backend = new ReferenceBackend()) {
                for (int i = 0; i < distortions.length; i++) {
                    c.matrix.readRow(i, row, 0);
                    float[] weight = {c.problem.weights()[i]};
                    CompressionProblem one = new CompressionProblem(
                            Matrix.of("row " + i, row, 1, row.length),
                            weight,
                            weight,
                            c.problem.metricRoot(),
                            c.problem.metricRootInverse());
                    try (CompressionWorkspace workspace = backend.open(one)) {
                        workspace.rate(bases, plans);
                        for (int p = 0; p < plans.size(); p++) {
                            distortions[i][p] =
                                    workspace.choose(1, only(p), new byte[1]).distortion();
                        }
                    }
                }
            }
            return distortions;
        }
    }

    @Test
    void everyPlanLosesWhatTheReferenceSays() {
        compare(cases(), (c, mine, reference, arena) -> {
            Plans plans = new Plans(c);
            mine.rate(plans.bases, plans.plans);
            reference.rate(plans.bases, plans.plans);
            double energy = reference.energy();
            byte[] groupOf = new byte[ROWS];
            for (int p = 0; p < plans.bytes.length; p++) {
                String what = c.at("plan " + p + " " + plans.plans.get(p));
                double expected = reference.choose(1, plans.only(p), groupOf).distortion();
                Choice actual = mine.choose(1, plans.only(p), groupOf);
                // A row whose largest coordinate sits on a step of the scales may take the step by rounding.
                assertEquals(expected, actual.distortion(), 3e-3 * expected + 2e-6 * energy, what);
                assertEquals(ROWS, actual.rows()[p], what);
                for (byte g : groupOf) {
                    assertEquals(p, g & 0xff, what);
                }
            }
        });
    }

    @Test
    void everyRowTakesItsBestPlanAtEveryPrice() {
        compare(cases(), (c, mine, reference, arena) -> {
            Plans plans = new Plans(c);
            double[][] distortions = plans.distortions(c);
            mine.rate(plans.bases, plans.plans);
            double unit = mine.energy() / ROWS / c.matrix.columns();
            int[] used = new int[plans.bytes.length];
            for (double price : new double[] {0, 1e-4 * unit, 1e-3 * unit, 0.01 * unit, 0.1 * unit, unit}) {
                byte[] groupOf = new byte[ROWS];
                Choice choice = mine.choose(price, plans.bytes, groupOf);
                check(c, plans, distortions, price, groupOf, choice);
                for (byte g : groupOf) {
                    used[g & 0xff]++;
                }
            }
            int taken = (int) Arrays.stream(used).filter(rows -> rows > 0).count();
            assertTrue(taken >= 6, c.at("only " + taken + " plans were ever chosen"));
        });
    }

    private static void check(
            CompressionCase c, Plans plans, double[][] distortions, double price, byte[] groupOf, Choice choice) {
        String what = c.at("price " + price);
        long[] counts = new long[plans.bytes.length];
        double distortion = 0;
        double objective = 0;
        double expected = 0;
        double energy = 0;
        for (int i = 0; i < ROWS; i++) {
            int mine = groupOf[i] & 0xff;
            double least = Double.POSITIVE_INFINITY;
            for (int p = 0; p < counts.length; p++) {
                least = Math.min(least, distortions[i][p] + price * plans.bytes[p]);
            }
            double found = distortions[i][mine] + price * plans.bytes[mine];
            double tolerance = 0.01 * least + 1e-5 * c.weightedEnergy(i);
            assertTrue(found <= least + tolerance, what + ", row " + i + ": " + found + " is above " + least);
            counts[mine]++;
            distortion += distortions[i][mine];
            objective += found;
            expected += least;
            energy += c.weightedEnergy(i);
        }
        assertEquals(expected, objective, 1e-3 * expected + 2e-6 * energy, what);
        assertEquals(distortion, choice.distortion(), 3e-3 * distortion + 2e-6 * energy, what);
        assertArrayEquals(counts, choice.rows(), what);
    }

    @Test
    void priceBytesAndTiesDecideAtTheEnds() {
        compare(cases(), (c, mine, reference, arena) -> {
            Plans plans = new Plans(c);
            int zero = plans.plans.indexOf(GroupPlan.zero());
            mine.rate(plans.bases, plans.plans);
            byte[] groupOf = new byte[ROWS];
            // Plan 0 stores rows as they are.
            Choice free = mine.choose(0, plans.bytes, groupOf);
            assertEquals(0, free.distortion(), c.at("loss at no price"));
            assertEquals(ROWS, free.rows()[0], c.at("rows stored as they are at no price"));
            double[] barred = plans.bytes.clone();
            barred[0] = Double.POSITIVE_INFINITY;
            for (double price : new double[] {0, 1}) {
                assertEquals(0, mine.choose(price, barred, groupOf).rows()[0], c.at("barred at price " + price));
            }
            // Low-rank plans that keep nothing take as few bytes as the zero plan, so that it is made cheaper here.
            double[] bytes = plans.bytes.clone();
            bytes[zero] = 0.5;
            assertEquals(ROWS, mine.choose(1e300, bytes, groupOf).rows()[zero], c.at("zero rows at an enormous price"));
            Choice tied = mine.choose(1e-3 * mine.energy() / ROWS, plans.bytes, groupOf);
            for (int p = 1; p < plans.bytes.length; p++) {
                int twin = plans.plans.indexOf(plans.plans.get(p));
                assertTrue(twin == p || tied.rows()[p] == 0, c.at("plan " + p + " ties with " + twin));
            }
        });
    }

    @Test
    void ratingAgainForgetsTheRatingBefore() {
        CompressionCase c = new CompressionCase(5, ROWS);
        Plans plans = new Plans(c);
        List<GroupPlan> few = List.of(GroupPlan.of(0, 1, Codec.F32), GroupPlan.zero());
        try (ComputeBackend tested = backend(2);
                CompressionWorkspace mine = tested.open(c.problem)) {
            byte[] groupOf = new byte[ROWS];
            mine.rate(plans.bases, plans.plans);
            double first = mine.choose(1e-3, plans.bytes, groupOf).distortion();
            mine.rate(plans.bases.subList(0, 1), few);
            Choice second = mine.choose(1e-3, new double[] {2, 1}, groupOf);
            assertEquals(2, second.rows().length);
            assertEquals(ROWS, second.rows()[0] + second.rows()[1]);
            assertNotEquals(first, second.distortion());
            mine.rate(plans.bases, plans.plans);
            assertEquals(first, mine.choose(1e-3, plans.bytes, groupOf).distortion());
        }
    }

    @Test
    void storedNumbersThatFitTheCodecLoseNothing() {
        CompressionCase c = new CompressionCase(7, ROWS);
        int columns = c.matrix.columns();
        MemorySegment halves = MemorySegment.ofArray(new byte[2 * ROWS * columns]);
        for (int x = 0; x < ROWS * columns; x++) {
            MemorySegment.copy(c.matrix.data(), 4L * x + 2, halves, 2L * x, 2);
        }
        Matrix half = Matrix.of("bf16", DType.BF16, ROWS, columns, halves);
        GroupPlan plan = GroupPlan.dense(columns, Codec.BF16);
        for (Matrix matrix : List.of(c.matrix, half)) {
            try (ComputeBackend tested = backend(1);
                    CompressionWorkspace mine = tested.open(CompressionProblem.weighted(matrix, c.problem.weights()))) {
                mine.rate(List.of(), List.of(plan));
                double noise = matrix == half ? 0 : mine.energy() * 0x1p-18 / 3;
                Choice choice = mine.choose(1, new double[] {1}, new byte[ROWS]);
                assertEquals(
                        noise,
                        choice.distortion(),
                        1e-5 * noise,
                        c.at(matrix.type().toString()));
            }
        }
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        CompressionCase c = new CompressionCase(6, 2 * 1024 + 77);
        Plans plans = new Plans(c);
        assertThreadsChangeNoBit(c.at("choices"), (tested, arena) -> {
            try (CompressionWorkspace mine = tested.open(c.problem)) {
                mine.rate(plans.bases, plans.plans);
                byte[] groupOf = new byte[c.matrix.rows()];
                Choice choice = mine.choose(1e-3 * mine.energy() / groupOf.length, plans.bytes, groupOf);
                return List.of(groupOf, choice.distortion(), choice.rows());
            }
        });
    }
}
