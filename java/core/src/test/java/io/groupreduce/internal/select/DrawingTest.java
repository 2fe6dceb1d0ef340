package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Draws from lists against the reference, on logits that are the bias of a matrix of zeros. */
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
                    int expected = reference(logits, sampling, seed);
                    long key = GumbelNoise.key(seed, 0);
                    int most = sampling.topK() > 0 ? sampling.topK() : VOCABULARY;
                    String what = sampling + ", seed " + seed + ", spread " + spread;
                    Ranking all = best(logits, most);
                    assertEquals(expected, Drawing.draw(all, 0, 0, Double.NaN, sampling, key), what);
                    if (sampling.topK() == 0) {
                        Ranking list = best(logits, 60);
                        int missing = VOCABULARY - 60;
                        int drawn = Drawing.draw(list, 0, missing, total(logits, all, sampling), sampling, key);
                        assertTrue(drawn == expected || drawn == Drawing.NONE, what + ": " + drawn);
                        int blind = Drawing.draw(list, 0, missing, Double.NaN, sampling, key);
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

    private static Ranking best(float[] logits, int k) {
        FullRanking full = new FullRanking(VOCABULARY);
        full.target().copyFrom(MemorySegment.ofArray(logits));
        return full.best(k);
    }

    private static double total(float[] logits, Ranking all, Sampling sampling) {
        double total = 0;
        for (float logit : logits) {
            total += Math.exp(((double) logit - all.logit(0, 0)) / sampling.temperature());
        }
        return total;
    }

    private static int reference(float[] logits, Sampling sampling, long seed) {
        CompressedMatrix zeros = new CompressedMatrix(
                "zeros",
                1,
                new byte[logits.length],
                List.of(GroupPlan.zero()),
                Arrays.asList((EncodedMatrix) null),
                List.of());
        int[] drawn = new int[1];
        try (Backend reference = new ReferenceBackend();
                InferenceSession session = reference.load(new InferenceProblem(zeros, logits, Pruning.OFF, 0))) {
            session.sample(new float[1], 1, sampling, seed, drawn);
        }
        return drawn[0];
    }
}
