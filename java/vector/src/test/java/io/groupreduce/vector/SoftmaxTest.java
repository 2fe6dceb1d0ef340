package io.groupreduce.vector;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.vector.compress.GroupTiles;
import io.groupreduce.vector.kernel.Exponential;
import io.groupreduce.vector.kernel.Numbers;
import io.groupreduce.vector.training.SoftmaxHeadState;
import java.util.Arrays;
import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class SoftmaxTest {
    @Test
    void exponentialIsAccurateOverItsWholeRange() {
        float[] x = new float[LANES];
        for (int step = 0; step < 2000; step++) {
            for (int lane = 0; lane < LANES; lane++) {
                x[lane] = -87f * (step * LANES + lane) / (2000 * LANES);
            }
            float[] found = new float[LANES];
            Exponential.of(FloatVector.fromArray(FLOATS, x, 0)).intoArray(found, 0);
            float[] inPlace = x.clone();
            Exponential.inPlace(inPlace, LANES);
            assertArrayEquals(found, inPlace, "both forms do the same steps");
            for (int lane = 0; lane < LANES; lane++) {
                double expected = Math.exp(x[lane]);
                assertEquals(expected, found[lane], 2.5e-7 * expected, "exp " + x[lane]);
            }
        }
        Exponential.of(FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY)).intoArray(x, 0);
        assertTrue(x[0] >= 0 && x[0] < 1e-37f, "exp of minus infinity is next to nothing");
    }

    @Test
    void runningSumsAgreeWithPlainOnesWhenTheMaximumMoves() {
        int rows = 30;
        int tiles = 7;
        float[] lanes = new float[3 * LANES];
        float[] maxima = new float[NR];
        SoftmaxHeadState even = new SoftmaxHeadState(NR);
        SoftmaxHeadState odd = new SoftmaxHeadState(NR);
        double[] sum = new double[NR];
        double[] gap = new double[NR];
        for (int tile = 0; tile < tiles; tile++) {
            float[] z = Numbers.random(tile, rows * NR);
            float[] y = Numbers.random(100 + tile, rows * NR);
            for (int x = 0; x < z.length; x++) {
                z[x] = z[x] * 5 + 20 * (float) Math.sin(tile);
                sum[x % NR] += Math.exp(z[x]);
                gap[x % NR] += Math.exp(z[x]) * (z[x] - y[x]);
            }
            (tile % 2 == 0 ? even : odd).add(0, z, y, rows, maxima, lanes);
            float largest = z[1];
            for (int i = 1; i < rows; i++) {
                largest = Math.max(largest, z[i * NR + 1]);
            }
            assertEquals(largest, maxima[1], "maximum of column 1");
        }
        even.merge(odd);
        for (int state = 0; state < NR; state++) {
            assertEquals(Math.log(sum[state]), even.logSumExp(state), 1e-6, "log-sum-exp of state " + state);
            double expected = gap[state] / sum[state];
            assertEquals(expected, even.expectedGap(state), 2e-6 * Math.abs(expected), "gap of state " + state);
        }
    }

    @Test
    void groupTilesCoverEveryRowOnceInOrder() {
        SplittableRandom random = new SplittableRandom(2);
        byte[] groupOf = new byte[777];
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = (byte) (random.nextInt(4) == 3 ? 200 : random.nextInt(2));
        }
        GroupTiles tiles = new GroupTiles(groupOf, 201, 50);
        int[] slots = new int[201];
        int at = 0;
        int[] seen = new int[groupOf.length];
        for (int t = 0; t < tiles.count(); t++) {
            assertEquals(at, tiles.first(t));
            assertEquals(slots[tiles.group(t)], tiles.slot(t));
            assertTrue(tiles.rows(t) > 0 && tiles.rows(t) <= 50, "rows of tile " + t);
            for (int i = 0; i < tiles.rows(t); i++) {
                int row = tiles.order()[at++];
                seen[row]++;
                assertEquals(groupOf[row] & 0xff, tiles.group(t));
            }
            slots[tiles.group(t)] += tiles.rows(t);
        }
        int[] once = new int[groupOf.length];
        Arrays.fill(once, 1);
        assertArrayEquals(once, seen);
    }
}
