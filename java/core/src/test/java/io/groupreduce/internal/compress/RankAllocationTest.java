package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RankAllocationTest {
    private static final SizeModel PARAMETERS =
            new SizeModel("m", SizeUnit.PARAMETERS, 10, 0, Codec.F32, ScaleScheme.PLAIN);

    private static final int DENSE = -1;

    private static int[] ranks(List<GroupPlan> plans) {
        return plans.stream().mapToInt(p -> p.isDense() ? DENSE : p.rank()).toArray();
    }

    @Test
    void ranksFollowMeanCounts() {
        // 100 and 1,000 rows of 10: a direction costs 110 and 1,010. Twice the mean count, twice the rank.
        long[] sizes = {100, 1000};
        List<GroupPlan> plans = new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {4, 2})
                .proportional(4 * 110 + 2 * 1010, 1);
        assertArrayEquals(new int[] {4, 2}, ranks(plans));
    }

    @Test
    void whatIsLeftGoesToTheMostFrequentGroup() {
        long[] sizes = {1000, 100};
        List<GroupPlan> plans = new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {1, 3})
                .proportional(2 * 1010 + 6 * 110 + 250, 1);
        assertArrayEquals(new int[] {2, 8}, ranks(plans));
    }

    @Test
    void aGroupWhoseFactorsAreNotSmallerIsDense() {
        // 5 rows of 10 at rank 4 would take 60 numbers, dense they take 50; rank 3 takes 45.
        long[] sizes = {5};
        assertArrayEquals(
                new int[] {3},
                ranks(new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {1}).proportional(49, 1)));
        assertArrayEquals(
                new int[] {DENSE},
                ranks(new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {1}).proportional(50, 1)));
    }

    @Test
    void noRankExceedsTheRows() {
        // 5 rows of 10: a coarse right factor makes rank 6 smaller than dense rows, but there is no sixth direction.
        SizeModel coarse = new SizeModel("m", SizeUnit.BYTES, 10, 0, Codec.INT8, ScaleScheme.PLAIN);
        RankAllocation allocation = new RankAllocation(coarse, Codec.F32, new long[] {5}, new double[] {1});
        long dense = 5 * 10 * 4 + coarse.fixed(5, List.of(GroupPlan.dense(10, Codec.F32)));
        assertArrayEquals(new int[] {5}, ranks(allocation.proportional(dense - 1, 1)));
        assertArrayEquals(new int[] {5}, ranks(allocation.uniform(dense - 1)));
        assertArrayEquals(new int[] {DENSE}, ranks(allocation.uniform(dense)));
    }

    @Test
    void theMinimumRankGivesWayToTheSize() {
        long[] sizes = {100, 1000};
        List<GroupPlan> plans =
                new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {1, 1}).proportional(2 * 1110 + 100, 5);
        assertArrayEquals(new int[] {2, 2}, ranks(plans));
    }

    @Test
    void anEmptyGroupTakesNothing() {
        long[] sizes = {0, 1000};
        List<GroupPlan> plans =
                new RankAllocation(PARAMETERS, Codec.F32, sizes, new double[] {0, 1}).proportional(3500, 1);
        assertArrayEquals(new int[] {0, 3}, ranks(plans));
    }

    @Test
    void anImpossibleSizeNamesTheSmallest() {
        SizeModel bytes = new SizeModel("m", SizeUnit.BYTES, 10, 77, Codec.F32, ScaleScheme.PLAIN);
        RankAllocation allocation = new RankAllocation(bytes, Codec.F32, new long[] {1000, 40}, new double[] {1, 5});
        // Group numbers 1,040, a header with "dense 32x10," twice and "1 32x10,", one direction of the small group 4 *
        // (40 + 10).
        long smallest = 1040 + 77 + 2 * 12 + 8 + 200;
        UnreachableTargetException e =
                assertThrows(UnreachableTargetException.class, () -> allocation.proportional(smallest - 1, 5));
        assertTrue(e.getMessage().contains("ask for at least " + smallest + " bytes"), e.getMessage());
        assertArrayEquals(new int[] {0, 1}, ranks(allocation.proportional(smallest, 5)));
    }

    @Test
    void sizesAreMetWhateverTheCodec() {
        for (long seed = 1; seed <= 200; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            Codec left = Codec.values()[random.nextInt(Codec.values().length)];
            Codec right = Codec.values()[random.nextInt(Codec.values().length)];
            SizeModel model = new SizeModel(
                    "m", SizeUnit.values()[random.nextInt(2)], 3 + random.nextInt(200), 500, right, ScaleScheme.PLAIN);
            long[] sizes = new long[1 + random.nextInt(8)];
            double[] means = new double[sizes.length];
            for (int p = 0; p < sizes.length; p++) {
                sizes[p] = random.nextInt(5) == 0 ? 0 : 1 + random.nextInt(5000);
                means[p] = sizes[p] == 0 ? 0 : 1 + random.nextInt(1000);
            }
            long rows = Arrays.stream(sizes).sum();
            if (rows == 0) {
                continue;
            }
            long budget =
                    (long) (rows * model.row(GroupPlan.dense(model.columns(), left)) / (1 + 20 * random.nextDouble()));
            RankAllocation allocation = new RankAllocation(model, left, sizes, means);
            String what = "seed " + seed;
            for (boolean proportional : new boolean[] {true, false}) {
                List<GroupPlan> plans;
                try {
                    plans = proportional ? allocation.proportional(budget, 5) : allocation.uniform(budget);
                } catch (UnreachableTargetException e) {
                    continue;
                }
                long cost = model.fixed(rows, plans);
                for (int p = 0; p < sizes.length; p++) {
                    GroupPlan plan = plans.get(p);
                    cost += sizes[p] * model.row(plan) + (plan.isLowRank() ? model.right(plan.rank()) : 0);
                    assertTrue(plan.rank() <= model.columns(), what);
                }
                assertTrue(cost <= budget, what);
            }
        }
    }

    @Test
    void uniformTakesTheLargestRankThatFits() {
        RankAllocation allocation = new RankAllocation(PARAMETERS, Codec.F32, new long[] {1000}, new double[] {1});
        assertEquals(3, ranks(allocation.uniform(4 * 1010 - 1))[0]);
        assertEquals(4, ranks(allocation.uniform(4 * 1010))[0]);
    }
}
