package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Draws on the device against the reference's, on a vocabulary longer than any list that kernels select. The matrix is zero and its bias is
 * the logits, so that both see the same numbers and every token must be the same.
 */
@Tag("gpu")
class SamplerTest {
    private static final int VOCABULARY = 1500;
    private static final int STATES = 3;
    private static final List<Sampling> SAMPLINGS = List.of(
            Sampling.temperature(1),
            Sampling.temperature(1e-5),
            Sampling.temperature(1e-320),
            Sampling.temperature(1e300),
            Sampling.temperature(1).withMinP(0.2),
            Sampling.temperature(1e-5).withMinP(1),
            Sampling.temperature(1).withTopK(30),
            Sampling.temperature(1).withTopK(1024),
            Sampling.temperature(1).withTopK(1025),
            Sampling.temperature(2).withTopK(1200).withTopP(0.99).withMinP(1e-3),
            Sampling.temperature(1).withTopP(0.5),
            Sampling.temperature(1).withTopP(0.9),
            Sampling.temperature(1e-5).withTopP(0.9),
            Sampling.temperature(1e-320).withTopP(0.5),
            Sampling.temperature(100).withTopP(0.8).withMinP(0.99));

    @Test
    void drawsTheReferencesTokens() {
        SplittableRandom random = new SplittableRandom(11);
        assertDrawsAlike("flat", token -> 0);
        assertDrawsAlike("smooth", token -> random.nextGaussian());
        assertDrawsAlike("steep", token -> 5 * random.nextGaussian());
        assertDrawsAlike("with ties", token -> Math.rint(2 * random.nextGaussian()));
        assertDrawsAlike("large", token -> 3e7 + random.nextInt(4) * 2);
        assertDrawsAlike("far below zero", token -> -1e30);
        assertDrawsAlike("nearly all ruled out", token -> token % 97 == 5 ? token % 2 : -1e30);
    }

    private static void assertDrawsAlike(String label, IntToDoubleFunction logit) {
        float[] bias = new float[VOCABULARY];
        for (int token = 0; token < VOCABULARY; token++) {
            bias[token] = (float) logit.applyAsDouble(token);
        }
        CompressedMatrix zeros = new TestHeads(4).zero(VOCABULARY).build("zeros");
        InferenceProblem problem = new InferenceProblem(zeros, bias, Pruning.OFF, 0);
        try (Backend reference = new ReferenceBackend();
                InferenceSession expected = reference.load(problem);
                InferenceSession session = new CudaInference(TestDevice.open(), problem)) {
            for (Sampling sampling : SAMPLINGS) {
                for (long seed = 0; seed < 3; seed++) {
                    assertArrayEquals(
                            sample(expected, sampling, seed),
                            sample(session, sampling, seed),
                            label + ", " + sampling + ", seed " + seed);
                }
            }
        }
        TestDevice.assertNothingLeaked();
    }

    private static int[] sample(InferenceSession session, Sampling sampling, long seed) {
        int[] tokens = new int[STATES];
        session.sample(new float[STATES * 4], STATES, sampling, seed, tokens);
        return tokens;
    }
}
