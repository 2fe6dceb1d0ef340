package io.groupreduce.vector.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.internal.select.Ranking;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RankingTest {
    private static final int TOP = 5;

    @Test
    void topTokensAreExactWithTiesToTheLowerToken() {
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 0; round < 200; round++) {
            int tokens = TOP + random.nextInt(80);
            Integer[] sorted = new Integer[tokens];
            float[] logits = new float[tokens];
            int[] shuffled = new int[tokens];
            for (int i = 0; i < tokens; i++) {
                logits[i] = random.nextInt(6);
                sorted[i] = i;
                int j = random.nextInt(i + 1);
                shuffled[i] = shuffled[j];
                shuffled[j] = i;
            }
            Arrays.sort(sorted, (a, b) -> logits[a] == logits[b] ? a - b : Float.compare(logits[b], logits[a]));
            Ranking first = new Ranking();
            Ranking second = new Ranking();
            // The second of two states: the first must not be touched.
            first.start(2, TOP);
            second.start(2, TOP);
            for (int i = 0; i < tokens; i++) {
                (i < tokens / 2 ? first : second).offer(1, logits[shuffled[i]], shuffled[i]);
            }
            first.merge(second, 2);
            for (int k = 0; k < TOP; k++) {
                assertEquals(sorted[k], first.token(1, k), "place " + k + " of round " + round);
                assertEquals(logits[sorted[k]], first.logit(1, k), "logit at place " + k + " of round " + round);
                assertEquals(Integer.MAX_VALUE, first.token(0, k), "the other state");
            }
        }
    }
}
