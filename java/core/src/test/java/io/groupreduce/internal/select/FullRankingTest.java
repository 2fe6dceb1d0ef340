package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class FullRankingTest {
    private static final float[] VALUES = {1, -0f, 0, -3, Float.MAX_VALUE, 1, -Float.MAX_VALUE, 1e-30f, -1e-30f, 7};

    private static final int[] ORDER = {4, 9, 0, 5, 7, 1, 2, 8, 3, 6};

    @Test
    void ranksAPartOfAnArray() {
        FullRanking full = new FullRanking();
        float[] inside = new float[VALUES.length + 5];
        Arrays.fill(inside, 1e38f);
        System.arraycopy(VALUES, 0, inside, 3, VALUES.length);
        for (int k : new int[] {VALUES.length, 0, 1, 6}) {
            int[] tokens = new int[k + 1];
            float[] logits = new float[k + 1];
            full.best(inside, 3, VALUES.length, k, tokens, logits);
            for (int place = 0; place < k; place++) {
                assertEquals(ORDER[place], tokens[place], "place " + place + " of " + k);
                // As it came, also where that is -0.
                assertEquals(VALUES[ORDER[place]], logits[place], "logit at place " + place + " of " + k);
            }
            assertEquals(0, tokens[k]);
        }
    }

    @Test
    void notANumberComesFirstWhateverItsBits() {
        float[] values = {1, Float.intBitsToFloat(0xFFC00001), Float.POSITIVE_INFINITY, Float.NaN};
        FullRanking full = new FullRanking();
        for (int k = 1; k <= values.length; k++) {
            int[] tokens = new int[k];
            full.best(values, 0, values.length, k, tokens, new float[k]);
            assertArrayEquals(Arrays.copyOf(new int[] {1, 3, 2, 0}, k), tokens);
        }
    }

    @Test
    void selectsAsAStableSortDoes() {
        SplittableRandom random = new SplittableRandom(5);
        for (int vocabulary : new int[] {1, 2, 17, 1000, 300}) {
            FullRanking full = new FullRanking();
            for (double spread : new double[] {0, 1, 3, 1e-30, 1e30}) {
                float[] logits = new float[vocabulary];
                for (int i = 0; i < vocabulary; i++) {
                    // Rounded, so that many tie; some are -0.
                    logits[i] = (float) (spread * Math.rint(4 * random.nextGaussian()));
                }
                int[] expected = IntStream.range(0, vocabulary)
                        .boxed()
                        .sorted(Comparator.comparingDouble((Integer i) -> -(logits[i] + 0f))
                                .thenComparingInt(i -> i))
                        .mapToInt(i -> i)
                        .toArray();
                for (int k : new int[] {1, 2, 16, 299, vocabulary}) {
                    if (k <= vocabulary) {
                        int[] tokens = new int[k];
                        float[] best = new float[k];
                        full.best(logits, 0, vocabulary, k, tokens, best);
                        String what = k + " of " + vocabulary + ", spread " + spread;
                        assertArrayEquals(Arrays.copyOf(expected, k), tokens, what);
                        for (int place = 0; place < k; place++) {
                            assertEquals(logits[expected[place]], best[place], what);
                        }
                    }
                }
            }
        }
    }
}
