package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RequestTest {
    private static float altered(Request request, int token, float logit) {
        int index = request.find(token);
        return index < 0 || !request.alters(index) ? logit : request.altered(index, logit);
    }

    @Test
    void biasComesFirstThenRepetitionThenFrequencyAndPresence() {
        Request request = Request.greedy()
                .bias(5, 2)
                .bias(6, -3)
                .repetitionPenalty(2)
                .frequencyPenalty(0.5)
                .presencePenalty(0.25)
                .prompt(5, 7)
                .accept(6)
                .accept(6)
                .accept(8);
        assertEquals((1 + 2) / 2f, altered(request, 5, 1), "positive after the bias, from the prompt");
        assertEquals((1 - 3) * 2 - 2 * 0.5f - 0.25f, altered(request, 6, 1), "negative after the bias, twice accepted");
        assertEquals(-8, altered(request, 7, -4));
        assertEquals(4 / 2f - 0.75f, altered(request, 8, 4));
        assertEquals(4, altered(request, 9, 4));
        assertEquals(3, request.step());
        assertTrue(Float.isFinite(altered(Request.greedy().bias(1, 3e38), 1, 3e38f)), "stays in binary32");
    }

    @Test
    void whatChangesNothingAltersNothing() {
        Request request = Request.greedy().bias(1, 0).prompt(2).accept(3);
        for (int token = 1; token <= 3; token++) {
            assertFalse(request.alters(request.find(token)));
        }
        request.presencePenalty(1);
        assertTrue(request.alters(request.find(3)));
        assertFalse(request.alters(request.find(2)), "the prompt was not accepted");
    }

    @Test
    void aBanHoldsWhateverIsAllowed() {
        Request request = Request.greedy();
        assertTrue(request.allowsAll());
        request.ban(TokenSet.of(2));
        assertTrue(request.allows(1) && !request.allows(2) && !request.allowsAll());
        request.allow(TokenSet.of(2, 3));
        assertTrue(!request.allows(1) && !request.allows(2) && request.allows(3));
        assertEquals(3, request.copy().largestNamed());
        assertFalse(request.copy().allows(2));
    }

    @Test
    void manyTokensAreFoundAgain() {
        Request request = Request.greedy().presencePenalty(1);
        for (int i = 0; i < 5000; i++) {
            request.accept(i * 31 % 4001);
        }
        assertEquals(4001, request.named());
        assertEquals(4000, request.largestNamed());
        assertEquals(-1, request.find(4001));
        for (int token = 0; token < 4001; token++) {
            assertEquals(token, request.namedToken(request.find(token)));
        }
    }

    @Test
    void aCopyGoesItsOwnWay() {
        Request request =
                Request.sample(Sampling.temperature(1), 9).frequencyPenalty(1).accept(4);
        Request copy = request.copy();
        assertEquals(request.noiseKey(), copy.noiseKey());
        assertEquals(altered(request, 4, 1), altered(copy, 4, 1));
        copy.accept(4).accept(5);
        assertEquals(1, request.step());
        assertEquals(3, copy.step());
        assertEquals(0, altered(request, 4, 1));
        assertEquals(-1, altered(copy, 4, 1));
        assertEquals(-1, request.find(5));
        assertEquals(
                Request.sample(Sampling.temperature(1), 10).step(1).noiseKey(),
                request.copy().seed(10).noiseKey());
    }

    @Test
    void seedsAndStepsNeverShareTheirNoise() {
        Set<Long> keys = new HashSet<>();
        for (long seed = -50; seed < 50; seed++) {
            Request request = Request.sample(Sampling.temperature(1), seed);
            for (int step = 0; step < 100; step++) {
                keys.add(request.noiseKey());
                request.accept(0);
            }
        }
        assertEquals(100 * 100, keys.size());
        assertNotEquals(
                Request.sample(Sampling.temperature(1), 0x9E3779B97F4A7C15L).noiseKey(),
                Request.sample(Sampling.temperature(1), 0).step(1).noiseKey());
    }

    @Test
    void numbersOutOfRangeAreRefused() {
        Request request = Request.greedy();
        for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 1e39}) {
            assertFails(InvalidOptionException.class, () -> request.bias(3, bad), "token 3", bad);
            assertFails(InvalidOptionException.class, () -> request.repetitionPenalty(bad), bad);
            assertFails(InvalidOptionException.class, () -> request.frequencyPenalty(bad), "frequency", bad);
            assertFails(InvalidOptionException.class, () -> request.presencePenalty(bad), "presence", bad);
        }
        assertFails(InvalidOptionException.class, () -> request.repetitionPenalty(0), "0.0");
        assertFails(InvalidOptionException.class, () -> request.repetitionPenalty(-1), "-1.0");
        assertFails(InvalidOptionException.class, () -> request.top(-1), -1);
        assertFails(InvalidOptionException.class, () -> Request.look().temperature(0), "0.0");
        Request drawing = Request.sample(Sampling.temperature(0.5), 1);
        assertFails(InvalidOptionException.class, () -> drawing.temperature(1), "0.5", "another sampling");
        for (int bad : new int[] {-1, Integer.MIN_VALUE}) {
            assertFails(InvalidDataException.class, () -> request.bias(bad, 1), bad);
            assertFails(InvalidDataException.class, () -> request.prompt(bad), bad);
            assertFails(InvalidDataException.class, () -> request.accept(bad), bad);
            assertFails(InvalidDataException.class, () -> request.score(1, bad), bad);
        }
        assertEquals(0, request.named());
        assertEquals(0, request.step());
    }
}
