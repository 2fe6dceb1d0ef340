package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class FullRankingTest {
    private static final float[] VALUES = {1, -0f, 0, -3, Float.MAX_VALUE, 1, -Float.MAX_VALUE, 1e-30f, -1e-30f, 7};

    private static final int[] ORDER = {4, 9, 0, 5, 7, 1, 2, 8, 3, 6};

    @Test
    void ranksWhatIsInItsMemory() {
        FullRanking full = new FullRanking(VALUES.length);
        for (int k : new int[] {VALUES.length, 0, 1, 6}) {
            full.target().copyFrom(MemorySegment.ofArray(VALUES));
            Ranking best = full.best(k);
            assertEquals(k, best.k());
            int[] tokens = new int[k + 2];
            float[] logits = new float[k + 2];
            best.copyTo(0, tokens, logits, 1);
            for (int place = 0; place < k; place++) {
                assertEquals(ORDER[place], tokens[1 + place], "place " + place + " of " + k);
                // As it came, also where that is -0.
                assertEquals(VALUES[ORDER[place]], logits[1 + place], "logit at place " + place + " of " + k);
            }
            assertEquals(0, tokens[0] + tokens[k + 1]);
        }
        assertSame(full.target(), full.target());
    }

    @Test
    void notANumberComesFirstWhateverItsBits() {
        float[] values = {1, Float.intBitsToFloat(0xFFC00001), Float.POSITIVE_INFINITY, Float.NaN};
        FullRanking full = new FullRanking(values.length);
        for (int k = 1; k <= values.length; k++) {
            full.target().copyFrom(MemorySegment.ofArray(values));
            int[] tokens = Arrays.copyOf(full.best(k).tokens(), k);
            assertArrayEquals(Arrays.copyOf(new int[] {1, 3, 2, 0}, k), tokens);
        }
    }

    @Test
    void selectsAsAStableSortDoes() {
        SplittableRandom random = new SplittableRandom(5);
        for (int vocabulary : new int[] {1, 2, 17, 1000, 300}) {
            FullRanking full = new FullRanking(vocabulary);
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
                        full.target().copyFrom(MemorySegment.ofArray(logits));
                        Ranking ranking = full.best(k);
                        String what = k + " of " + vocabulary + ", spread " + spread;
                        assertEquals(k, ranking.k());
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
