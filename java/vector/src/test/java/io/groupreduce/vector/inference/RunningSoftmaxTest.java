package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.LANES;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RunningSoftmaxTest {
    @Test
    void sumsAgreeWithPlainOnesWhenTheMaximumMoves() {
        SplittableRandom random = new SplittableRandom(3);
        for (float temperature : new float[] {1f, 0.5f, 2f}) {
            int tiles = 9;
            int count = Codes.TILE;
            RunningSoftmax plain = new RunningSoftmax();
            RunningSoftmax withGap = new RunningSoftmax();
            plain.start(2);
            plain.setInverse(1, 1 / temperature);
            withGap.start(2);
            double sum = 0;
            double sumAtOne = 0;
            double gap = 0;
            float largest = Float.NEGATIVE_INFINITY;
            for (int tile = 0; tile < tiles; tile++) {
                float[] x = new float[2 * count];
                float[] y = new float[2 * count];
                Arrays.fill(x, PackedHead.NO_TOKEN);
                Arrays.fill(y, PackedHead.NO_TOKEN);
                // The last tile is not full.
                for (int i = count; i < count + (tile == tiles - 1 ? LANES + 2 : count); i++) {
                    x[i] = (float) (random.nextDouble() * 5 + 20 * Math.sin(tile));
                    y[i] = x[i] + random.nextFloat() - 0.5f;
                    sum += Math.exp(x[i] / temperature);
                    sumAtOne += Math.exp(x[i]);
                    gap += Math.exp(x[i]) * (x[i] - y[i]);
                    largest = Math.max(largest, x[i]);
                }
                plain.add(0, 2, x, 0);
                withGap.addWithGap(0, 2, x, y);
            }
            assertEquals(largest, plain.maximum(1));
            double expected = Math.log(sum);
            double found = largest / temperature + Math.log(plain.sum(1, largest));
            assertEquals(expected, found, 1e-6 * Math.max(1, Math.abs(expected)), "temperature " + temperature);
            double expectedGap = gap / sumAtOne;
            assertEquals(
                    expectedGap,
                    withGap.gap(1, largest) / withGap.sum(1, largest),
                    2e-6 * Math.max(1, Math.abs(expectedGap)));
        }
    }
}
