package io.groupreduce.vector;

import static io.groupreduce.vector.Lanes.FLOATS;
import static io.groupreduce.vector.Lanes.LANES;
import static io.groupreduce.vector.Lanes.NR;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class SoftmaxTest {
    private static final int TOP = 5;

    @Test
    void exponentialIsAccurateOverItsWholeRange() {
        float[] x = new float[LANES];
        for (int step = 0; step < 2000; step++) {
            for (int lane = 0; lane < LANES; lane++) {
                x[lane] = -87f * (step * LANES + lane) / (2000 * LANES);
            }
            float[] found = new float[LANES];
            Exponential.of(FloatVector.fromArray(FLOATS, x, 0)).intoArray(found, 0);
            for (int lane = 0; lane < LANES; lane++) {
                double expected = Math.exp(x[lane]);
                assertEquals(expected, found[lane], 2.5e-7 * expected, "exp " + x[lane]);
            }
        }
        Exponential.of(FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY)).intoArray(x, 0);
        assertTrue(x[0] >= 0 && x[0] < 1e-37f, "exp of minus infinity is next to nothing");
    }

    @Test
    void topTokensAreExactWithTiesToTheLowerToken() {
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 0; round < 200; round++) {
            int tokens = TOP + random.nextInt(40);
            Integer[] sorted = new Integer[tokens];
            float[] logits = new float[tokens];
            int[] shuffled = Numbers.ascending(tokens);
            for (int i = 0; i < tokens; i++) {
                logits[i] = random.nextInt(6);
                sorted[i] = i;
                int j = random.nextInt(i + 1);
                int swap = shuffled[i];
                shuffled[i] = shuffled[j];
                shuffled[j] = swap;
            }
            Arrays.sort(sorted, (a, b) -> logits[a] == logits[b] ? a - b : Float.compare(logits[b], logits[a]));
            TopTokens first = new TopTokens(1, TOP);
            TopTokens second = new TopTokens(1, TOP);
            for (int i = 0; i < tokens; i += 3) {
                int rows = Math.min(3, tokens - i);
                float[] z = new float[rows * NR];
                float[] maxima = new float[NR];
                maxima[0] = Float.NEGATIVE_INFINITY;
                for (int r = 0; r < rows; r++) {
                    z[r * NR] = logits[shuffled[i + r]];
                    maxima[0] = Math.max(maxima[0], z[r * NR]);
                }
                (i < tokens / 2 ? first : second).add(0, 1, z, rows, maxima, shuffled, i);
            }
            first.merge(second);
            int[] found = new int[TOP];
            first.copyTo(found, 0, 1);
            for (int k = 0; k < TOP; k++) {
                assertEquals(sorted[k], found[k], "place " + k + " of round " + round);
            }
        }
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
