package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RankingTest {
    @Test
    void selectsAsAStableSortDoes() {
        Ranking ranking = new Ranking();
        SplittableRandom random = new SplittableRandom(5);
        for (int vocabulary : new int[] {1, 2, 17, 1000, 300}) {
            for (double spread : new double[] {0, 1, 3, 1e-30, 1e30}) {
                float[] logits = new float[vocabulary + 3];
                for (int i = 0; i < vocabulary; i++) {
                    // Rounded, so that many tie; some are -0.
                    logits[i] = (float) (spread * Math.rint(4 * random.nextGaussian()));
                }
                Arrays.fill(logits, vocabulary, logits.length, Float.MAX_VALUE);
                int[] expected = IntStream.range(0, vocabulary)
                        .boxed()
                        .sorted(Comparator.comparingDouble((Integer i) -> -(logits[i] + 0f))
                                .thenComparingInt(i -> i))
                        .mapToInt(i -> i)
                        .toArray();
                for (int k : new int[] {1, 2, 16, 299, vocabulary}) {
                    if (k <= vocabulary) {
                        ranking.select(logits, vocabulary, k);
                        String what = k + " of " + vocabulary + ", spread " + spread;
                        assertEquals(k, ranking.count());
                        assertArrayEquals(Arrays.copyOf(expected, k), Arrays.copyOf(ranking.tokens(), k), what);
                        for (int place = 0; place < k; place++) {
                            assertEquals(logits[expected[place]], ranking.logits()[place], what);
                        }
                    }
                }
            }
        }
    }
}
