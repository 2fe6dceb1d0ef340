package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Sampling;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Draws from lists and from all logits, against sorting and adding up all of them. */
class DrawingTest {
    private static final int VOCABULARY = 500;
    private static final List<Sampling> SAMPLINGS = List.of(
            Sampling.temperature(1).withTopK(1),
            Sampling.temperature(1.3).withTopK(40),
            Sampling.temperature(1).withTopP(0.9),
            Sampling.temperature(1).withTopP(0.3),
            Sampling.temperature(1).withTopP(1e-9),
            Sampling.temperature(1e-320).withTopP(0.5),
            Sampling.temperature(1e300).withTopP(0.5),
            Sampling.temperature(0.5).withTopP(0.999).withMinP(0.02),
            Sampling.temperature(0.8).withTopK(50).withTopP(0.95).withMinP(0.01));

    @Test
    void drawsTheReferencesTokenOrSaysThatTheListIsTooShort() {
        SplittableRandom random = new SplittableRandom(3);
        int tooShort = 0;
        int enough = 0;
        for (double spread : new double[] {0, 0.1, 2, 1e6}) {
            float[] logits = new float[VOCABULARY];
            for (int i = 0; i < VOCABULARY; i++) {
                // Rounded, so that some tie.
                logits[i] = (float) (spread * Math.rint(20 * random.nextGaussian()) / 20);
            }
            for (Sampling sampling : SAMPLINGS) {
                for (long seed = 0; seed < 20; seed++) {
                    long key = GumbelNoise.key(seed, 0);
                    int expected = plain(logits, sampling, key);
                    int most = sampling.topK() > 0 ? sampling.topK() : VOCABULARY;
                    String what = sampling + ", seed " + seed + ", spread " + spread;
                    assertEquals(expected, listed(logits, most, 0, Double.NaN, sampling, key), what);
                    float[] shifted = new float[VOCABULARY + 7];
                    System.arraycopy(logits, 0, shifted, 7, VOCABULARY);
                    double known = total(logits, sampling);
                    assertEquals(
                            expected, new WholeDraw().draw(shifted, 7, VOCABULARY, Double.NaN, sampling, key), what);
                    assertEquals(expected, new WholeDraw().draw(shifted, 7, VOCABULARY, known, sampling, key), what);
                    if (sampling.topK() == 0) {
                        int missing = VOCABULARY - 60;
                        int drawn = listed(logits, 60, missing, total(logits, sampling), sampling, key);
                        assertTrue(drawn == expected || drawn == Drawing.NONE, what + ": " + drawn);
                        int blind = listed(logits, 60, missing, Double.NaN, sampling, key);
                        assertTrue(blind == drawn || blind == Drawing.NONE, what + ", no sum: " + blind);
                        tooShort += drawn == Drawing.NONE ? 1 : 0;
                        enough += blind == expected ? 1 : 0;
                    }
                }
            }
        }
        assertTrue(tooShort > 0, "lists that are too short");
        assertTrue(enough > 0, "lists that do without the sum");
    }

    @Test
    void tokensThatDoNotCountAreNeverDrawnFromAllLogits() {
        float[] logits = new float[VOCABULARY];
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        WholeDraw draw = new WholeDraw();
        logits[41] = -3;
        for (Sampling sampling : SAMPLINGS) {
            assertEquals(41, draw.draw(logits, 0, VOCABULARY, Double.NaN, sampling, 5));
        }
        logits[40] = -3;
        Sampling one = Sampling.temperature(1).withTopK(1);
        Sampling half = Sampling.temperature(1).withTopP(0.5);
        for (long seed = 0; seed < 20; seed++) {
            assertEquals(40, draw.draw(logits, 0, VOCABULARY, Double.NaN, one, GumbelNoise.key(seed, 0)));
            assertEquals(40, draw.draw(logits, 0, VOCABULARY, 2, half, GumbelNoise.key(seed, 0)));
        }
    }

    private static int[] ranked(float[] logits) {
        return IntStream.range(0, logits.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> 0 - logits[i]))
                .mapToInt(i -> i)
                .toArray();
    }

    private static int listed(float[] logits, int count, long missing, double total, Sampling sampling, long key) {
        int[] tokens = Arrays.copyOf(ranked(logits), count);
        float[] best = new float[count];
        for (int i = 0; i < count; i++) {
            best[i] = logits[tokens[i]];
        }
        int place = Drawing.draw(tokens, best, count, missing, total, sampling, key);
        return place == Drawing.NONE ? place : tokens[place];
    }

    private static double total(float[] logits, Sampling sampling) {
        float largest = logits[ranked(logits)[0]];
        double total = 0;
        for (float logit : logits) {
            total += Math.exp(((double) logit - largest) / sampling.temperature());
        }
        return total;
    }

    /** What stays of a sorted list, and the largest of logit and noise. */
    private static int plain(float[] logits, Sampling sampling, long key) {
        int[] ranked = ranked(logits);
        double largest = logits[ranked[0]];
        int kept = sampling.topK() > 0 ? sampling.topK() : ranked.length;
        double[] reached = new double[kept];
        double sum = 0;
        for (int i = 0; i < kept; i++) {
            sum += Math.exp((logits[ranked[i]] - largest) / sampling.temperature());
            reached[i] = sum;
        }
        int enough = 0;
        while (sampling.topP() < 1 && reached[enough] < sampling.topP() * sum) {
            enough++;
        }
        kept = sampling.topP() < 1 ? enough + 1 : kept;
        int best = -1;
        double most = 0;
        for (int i = 0; i < kept; i++) {
            int token = ranked[i];
            double scaled = (logits[token] - largest) / sampling.temperature();
            if (Math.exp(scaled) < sampling.minP()) {
                break;
            }
            double value = scaled + GumbelNoise.of(GumbelNoise.hash(key, token));
            if (best < 0 || value > most || value == most && token < best) {
                best = token;
                most = value;
            }
        }
        return best;
    }
}
