package io.groupreduce.internal.rows;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LargestRowsTest {
    private static List<Integer> found(float[] values, double above, int most) {
        List<Integer> rows = new ArrayList<>();
        LargestRows.forEach(values, above, most, rows::add);
        return rows;
    }

    @Test
    void takesWhatAStableSortPutsFirst() {
        for (long seed = 1; seed <= 6; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] values = new float[1 + random.nextInt(700)];
            for (int i = 0; i < values.length; i++) {
                // Of even seeds whole numbers, so that many tie; of odd ones all orders of magnitude.
                double value = seed % 2 == 0 ? random.nextInt(5) : Math.exp(20 * random.nextGaussian());
                values[i] = (float) value;
            }
            values[random.nextInt(values.length)] = Float.POSITIVE_INFINITY;
            values[random.nextInt(values.length)] = Float.MIN_VALUE;
            values[random.nextInt(values.length)] = Float.NaN;
            for (double above : new double[] {0, 1, 2.5}) {
                for (int most : new int[] {0, 1, values.length / 10, values.length / 2, values.length}) {
                    List<Integer> expected = IntStream.range(0, values.length)
                            .filter(i -> values[i] > above)
                            .boxed()
                            .sorted(Comparator.comparingDouble((Integer i) -> -values[i]))
                            .limit(most)
                            .sorted()
                            .toList();
                    assertEquals(
                            expected, found(values, above, most), "seed " + seed + ", " + most + " above " + above);
                }
            }
        }
    }

    @Test
    void ofNeighbouringNumbersTheLargestIsTaken() {
        float[] values = {1, Math.nextUp(1f), Math.nextDown(1f), Math.nextUp(1f)};
        assertEquals(List.of(1), found(values, 0, 1));
        assertEquals(List.of(0, 1, 3), found(values, 0, 3));
        assertEquals(List.of(1, 3), found(values, 1, 3));
    }
}
