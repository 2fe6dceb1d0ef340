package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.select.GumbelNoise;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class NoiseSearchTest {
    @Test
    void theTokenIsTheOneThatPlainArithmeticFinds() {
        SplittableRandom random = new SplittableRandom(5);
        for (int seed = 0; seed < 500; seed++) {
            int[] names = new int[4 * TILE];
            float[] logits = new float[names.length];
            for (int i = 0; i < names.length; i++) {
                names[i] = random.nextInt(1 << 20);
                logits[i] = random.nextFloat() * 10;
            }
            double temperature = 0.2 + random.nextDouble() * 2;
            NoiseSearch search = new NoiseSearch();
            NoiseSearch other = new NoiseSearch();
            long key = GumbelNoise.key(seed, 3);
            search.start(key, temperature);
            other.start(key, temperature);
            int best = 0;
            double most = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < names.length; i++) {
                double value = logits[i] / temperature + GumbelNoise.of(GumbelNoise.hash(key, names[i]));
                if (value > most) {
                    most = value;
                    best = names[i];
                }
            }
            for (int tile = 0; tile < names.length; tile += TILE) {
                NoiseSearch used = tile < 2 * TILE ? search : other;
                double limit = used.limit(used.largestNoise(names, tile));
                for (int i = tile; i < tile + TILE; i++) {
                    if (logits[i] >= limit) {
                        used.offer(logits[i], names[i]);
                    }
                }
            }
            search.merge(other);
            assertEquals(best, search.token(), "seed " + seed);
        }
    }

    @Test
    void theBoundHoldsAndIsNotFarOff() {
        int[] names = new int[TILE];
        NoiseSearch search = new NoiseSearch();
        for (int seed = 0; seed < 300; seed++) {
            search.start(GumbelNoise.key(seed, 0), 1);
            double largest = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < TILE; i++) {
                names[i] = seed * 1000 + i;
                largest = Math.max(largest, GumbelNoise.of(GumbelNoise.hash(GumbelNoise.key(seed, 0), names[i])));
            }
            double bound = search.largestNoise(names, 0);
            assertTrue(bound >= largest, "seed " + seed + ": " + bound + " bounds " + largest);
            assertTrue(bound <= largest + 1.2, "seed " + seed + ": " + bound + " is near " + largest);
        }
    }
}
