package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RankAllocationTest {
    private static final SizeModel PARAMETERS = new SizeModel(SizeUnit.PARAMETERS, 10, Codec.F32, Codec.F32);

    @Test
    void ranksFollowMeanCounts() {
        // 100 and 1,000 rows of 10: a direction costs 110 and 1,010. Twice the mean count, twice the rank.
        long[] sizes = {100, 1000};
        int[] ranks = new RankAllocation(PARAMETERS, sizes, new double[] {4, 2}).proportional(4 * 110 + 2 * 1010, 1);
        assertArrayEquals(new int[] {4, 2}, ranks);
    }

    @Test
    void whatIsLeftGoesToTheMostFrequentGroup() {
        long[] sizes = {1000, 100};
        int[] ranks =
                new RankAllocation(PARAMETERS, sizes, new double[] {1, 3}).proportional(2 * 1010 + 6 * 110 + 250, 1);
        assertArrayEquals(new int[] {2, 8}, ranks);
    }

    @Test
    void aGroupWhoseFactorsAreNotSmallerIsDense() {
        // 5 rows of 10 at rank 4 would take 60 numbers, dense they take 50; rank 3 takes 45.
        long[] sizes = {5};
        assertArrayEquals(new int[] {3}, new RankAllocation(PARAMETERS, sizes, new double[] {1}).proportional(49, 1));
        assertArrayEquals(
                new int[] {RankAllocation.DENSE},
                new RankAllocation(PARAMETERS, sizes, new double[] {1}).proportional(50, 1));
    }

    @Test
    void theMinimumRankGivesWayToTheSize() {
        long[] sizes = {100, 1000};
        int[] ranks = new RankAllocation(PARAMETERS, sizes, new double[] {1, 1}).proportional(2 * 1110 + 100, 5);
        assertArrayEquals(new int[] {2, 2}, ranks);
    }

    @Test
    void anEmptyGroupTakesNothing() {
        long[] sizes = {0, 1000};
        int[] ranks = new RankAllocation(PARAMETERS, sizes, new double[] {0, 1}).proportional(3500, 1);
        assertArrayEquals(new int[] {0, 3}, ranks);
    }

    @Test
    void anImpossibleSizeNamesTheSmallest() {
        SizeModel bytes = new SizeModel(SizeUnit.BYTES, 10, Codec.F32, Codec.F32);
        RankAllocation allocation = new RankAllocation(bytes, new long[] {1000, 40}, new double[] {1, 5});
        // Group numbers 1,040, basis numbers 2, one direction of the small group 4 * (40 + 10).
        long smallest = 1040 + 2 + 200;
        UnreachableTargetException e =
                assertThrows(UnreachableTargetException.class, () -> allocation.proportional(smallest - 1, 5));
        assertTrue(e.getMessage().contains("the smallest possible is " + smallest + " bytes"), e.getMessage());
        assertArrayEquals(new int[] {0, 1}, allocation.proportional(smallest, 5));
    }

    @Test
    void sizesAreMetWhateverTheCodec() {
        for (long seed = 1; seed <= 200; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            Codec left = Codec.values()[random.nextInt(Codec.values().length)];
            Codec right = Codec.values()[random.nextInt(Codec.values().length)];
            SizeModel model = new SizeModel(SizeUnit.values()[random.nextInt(2)], 3 + random.nextInt(200), left, right);
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
            long budget = (long) (model.dense(rows) / (1 + 20 * random.nextDouble()));
            RankAllocation allocation = new RankAllocation(model, sizes, means);
            String what = "seed " + seed;
            for (boolean proportional : new boolean[] {true, false}) {
                int[] ranks;
                try {
                    ranks = proportional ? allocation.proportional(budget, 5) : allocation.uniform(budget);
                } catch (UnreachableTargetException e) {
                    continue;
                }
                assertTrue(allocation.cost(ranks) + model.fixed(rows, sizes.length) <= budget, what);
                int most = Arrays.stream(ranks).max().orElseThrow();
                assertTrue(most <= model.columns(), what);
            }
        }
    }

    @Test
    void uniformTakesTheLargestRankThatFits() {
        RankAllocation allocation = new RankAllocation(PARAMETERS, new long[] {1000}, new double[] {1});
        assertEquals(3, allocation.uniform(4 * 1010 - 1)[0]);
        assertEquals(4, allocation.uniform(4 * 1010)[0]);
    }
}
