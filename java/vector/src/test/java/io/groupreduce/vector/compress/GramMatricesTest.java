package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Numbers;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class GramMatricesTest {
    private static final int ROWS = 5000;
    private static final int COLUMNS = 75;

    private final float[] values = Numbers.random(1, ROWS * COLUMNS);
    private final float[] weights = weights();
    private final Matrix matrix = Matrix.of("random", values, ROWS, COLUMNS);

    private static float[] weights() {
        float[] weights = Numbers.random(2, ROWS);
        for (int i = 0; i < ROWS; i++) {
            weights[i] = i % 10 == 0 ? 0 : weights[i] * weights[i];
        }
        return weights;
    }

    private GramMatrices fresh(Workers workers) {
        return new GramMatrices(
                new GramAccumulator(workers, matrix, weights), weights, RowEnergies.of(workers, matrix, null));
    }

    /** Rows at random in bases 0 .. bases - 1 or in none. */
    private static byte[] assignment(long seed, int bases) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] basisOf = new byte[ROWS];
        for (int i = 0; i < ROWS; i++) {
            int b = random.nextInt(bases + 1);
            basisOf[i] = (byte) (b == bases ? GroupPlan.DENSE : b);
        }
        return basisOf;
    }

    private void check(GramMatrices grams, byte[] basisOf, int bases, String what) {
        for (int b = 0; b < bases; b++) {
            float[] masked = weights.clone();
            for (int i = 0; i < ROWS; i++) {
                masked[i] = (basisOf[i] & 0xff) == b ? weights[i] : 0;
            }
            double[] expected = Numbers.gram(values, masked, ROWS, COLUMNS);
            double trace = Numbers.trace(expected, COLUMNS);
            assertArrayEquals(expected, grams.gram(b).toDense(), 1e-6 * trace + 1e-9, what + ", basis " + b);
            assertEquals(trace, grams.energy(b), 1e-6 * trace, what + ", energy of basis " + b);
        }
    }

    @Test
    void gathersScatteredRowsByBasis() {
        GramMatrices grams = fresh(Workers.NONE);
        byte[] basisOf = assignment(3, 3);
        grams.update(basisOf, 3);
        check(grams, basisOf, 3, "first");
    }

    @Test
    void followsMovedRowsAndChangingNumbersOfBases() {
        GramMatrices grams = fresh(Workers.NONE);
        byte[] basisOf = assignment(4, 3);
        grams.update(basisOf, 3);
        SplittableRandom random = new SplittableRandom(5);
        for (int bases : new int[] {3, 4, 4, 2, 3}) {
            for (int i = 0; i < ROWS; i++) {
                if (random.nextInt(10) == 0 || (basisOf[i] & 0xff) >= bases) {
                    basisOf[i] = (byte) random.nextInt(bases);
                }
            }
            grams.update(basisOf, bases);
            check(grams, basisOf, bases, bases + " bases");
        }
    }

    @Test
    void aBasisThatLosesNearlyAllItsEnergyStaysAccurate() {
        int heavy = 80;
        for (int i = 0; i < heavy; i++) {
            weights[i] = 1e7f;
        }
        GramMatrices grams = fresh(Workers.NONE);
        byte[] basisOf = new byte[ROWS];
        grams.update(basisOf, 2);
        for (int i = 0; i < heavy; i++) {
            basisOf[i] = 1;
        }
        grams.update(basisOf, 2);
        check(grams, basisOf, 2, "after the heavy rows left");
    }

    @Test
    void anEmptiedBasisHasNothing() {
        GramMatrices grams = fresh(Workers.NONE);
        grams.update(new byte[ROWS], 2);
        byte[] all = new byte[ROWS];
        Arrays.fill(all, (byte) 1);
        grams.update(all, 2);
        assertNull(grams.gram(0));
        assertEquals(0, grams.rows(0).length);
        assertEquals(0, grams.energy(0));
    }

    @Test
    void fewerRowsThanColumnsHaveNoGramMatrix() {
        GramMatrices grams = fresh(Workers.NONE);
        byte[] basisOf = new byte[ROWS];
        Arrays.fill(basisOf, 0, COLUMNS - 1, (byte) 1);
        grams.update(basisOf, 2);
        assertTrue(grams.few(1));
        assertNull(grams.gram(1));
        assertArrayEquals(Numbers.ascending(COLUMNS - 1), grams.rows(1));
        basisOf[ROWS - 1] = 1;
        grams.update(basisOf, 2);
        check(grams, basisOf, 2, "with one row more");
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        byte[] basisOf = assignment(6, 2);
        double[] expected = null;
        for (int threads = 1; threads <= 3; threads++) {
            try (Workers workers = new Workers(threads)) {
                GramMatrices grams = fresh(workers);
                grams.update(new byte[ROWS], 2);
                grams.update(basisOf, 2);
                double[] found = grams.gram(0).toDense();
                expected = expected == null ? found : expected;
                assertArrayEquals(expected, found, threads + " threads");
            }
        }
    }
}
