package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.GumbelNoise;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * The answer to a request in double precision, from all logits of the reference by sorting them, and how far a head's may be from it: as far as its backend's
 * logits may be, see {@link InferenceOracle}. Shares nothing with heads but the noise.
 */
final class RequestOracle {
    private final RequestSpec spec;
    private final double[] model;
    private final double[] modelOff;
    /** Negative infinity for tokens that are not allowed. */
    private final double[] altered;

    private final double[] alteredOff;
    private final double temperature;
    private final int[] ranked;

    /** Of the first logits, as many as there are tolerances. */
    RequestOracle(RequestSpec spec, float[] logits, double[] tolerances) {
        this.spec = spec;
        int rows = tolerances.length;
        model = new double[rows];
        modelOff = tolerances;
        altered = new double[rows];
        alteredOff = new double[rows];
        double slope = Math.max(spec.repetition, 1 / spec.repetition);
        for (int token = 0; token < rows; token++) {
            model[token] = logits[token];
            double y = spec.altered(token, logits[token]);
            altered[token] = spec.isAllowed(token) ? y : Double.NEGATIVE_INFINITY;
            alteredOff[token] = slope * tolerances[token] + 0x1p-23 * (Math.abs(logits[token]) + Math.abs(y));
        }
        temperature = spec.sampling == null ? 1 : spec.sampling.temperature();
        ranked = ranked(altered);
    }

    /** Tokens that there are, the largest first, ties to the lower token. */
    private static int[] ranked(double[] y) {
        return IntStream.range(0, y.length)
                .filter(token -> y[token] > Double.NEGATIVE_INFINITY)
                .boxed()
                .sorted(Comparator.comparing((Integer token) -> -y[token]))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /** The probability with which each token is drawn. */
    double[] probabilities() {
        double[] probability = new double[altered.length];
        int[] kept = kept(0);
        for (int token : kept) {
            probability[token] = share(token);
        }
        double sum = Arrays.stream(probability).sum();
        Arrays.setAll(probability, token -> probability[token] / sum);
        return probability;
    }

    /** Tokens that top-k, top-p and min-p leave where shares are off by so much. */
    int[] kept(double slack) {
        Sampling sampling = spec.sampling;
        int most = sampling.topK() == 0 ? ranked.length : Math.min(ranked.length, sampling.topK());
        double sum = 0;
        for (int place = 0; place < most; place++) {
            sum += share(ranked[place]);
        }
        double reached = 0;
        int count = 0;
        while (count < most
                && (sampling.topP() == 1 || reached < sampling.topP() * sum * (1 + slack))
                && share(ranked[count]) >= sampling.minP() * (1 - slack)) {
            reached += share(ranked[count++]);
        }
        return Arrays.copyOf(ranked, Math.max(1, count));
    }

    private double share(int token) {
        return Math.exp((altered[token] - altered[ranked[0]]) / temperature);
    }

    private double noise(int token) {
        return GumbelNoise.of(GumbelNoise.hash(GumbelNoise.key(spec.seed, spec.accepted.size()), token));
    }

    /** Holds a row of answers against this. */
    void assertAnswer(Answers answers, int row, String what) {
        String where = what + ", row " + row + ": " + spec;
        if (spec.sampling != null || spec.greedy) {
            assertChoice(answers.token(row), where);
        }
        boolean drawn = spec.probabilities == Probabilities.DRAWN;
        double[] y = drawn ? altered : model;
        double[] off = drawn ? alteredOff : modelOff;
        double t = drawn ? temperature : 1;
        double largest = Arrays.stream(y).max().getAsDouble();
        double logSum =
                Math.log(Arrays.stream(y).map(v -> Math.exp((v - largest) / t)).sum());
        double allowed = InferenceOracle.logSumAllowed(largest, logSum, Math.min(1e300, 1 / t), y, off);
        boolean summed = spec.probabilities != Probabilities.NONE;
        if (summed) {
            // At a temperature near 0 infinite.
            assertEquals(largest / t + logSum, answers.logSumExp(row), allowed, where + ", log-sum-exp");
            if (spec.sampling != null || spec.greedy) {
                int token = answers.token(row);
                assertLog(
                        (y[token] - largest) / t - logSum,
                        answers.logProbability(row),
                        allowed + off[token] / t,
                        where);
            }
        }
        assertTop(answers, row, y, off, where);
        for (int place = 0; place < answers.top(row) && summed; place++) {
            int token = answers.topToken(row, place);
            double log = (y[token] - largest) / t - logSum;
            assertLog(log, answers.topLogProbability(row, place), allowed + off[token] / t, where);
        }
        for (int i = 0; i < spec.scored.length; i++) {
            int token = spec.scored[i];
            assertEquals(model[token], answers.scoreLogit(row, i), modelOff[token], where + ", score " + token);
            if (summed) {
                double log = (y[token] - largest) / t - logSum;
                assertLog(log, answers.scoreLogProbability(row, i), allowed + off[token] / t, where);
            }
        }
    }

    private static void assertLog(double expected, float actual, double allowed, String where) {
        boolean beyond = expected < -Float.MAX_VALUE && actual <= -Float.MAX_VALUE;
        assertTrue(actual <= 0, where + ": log-probability " + actual);
        if (!beyond) {
            assertEquals(expected, actual, allowed + 1e-6 * Math.abs(expected), where + ": log-probability");
        }
    }

    /** Holds tokens of a row of answers against this where logits are exact. */
    void assertSameTokens(Answers answers, int row, String what) {
        String where = what + ", row " + row + ": " + spec;
        int[] order = spec.probabilities == Probabilities.DRAWN ? ranked : ranked(model);
        for (int place = 0; place < answers.top(row); place++) {
            assertEquals(order[place], answers.topToken(row, place), where + ", place " + place);
        }
        assertEquals(Math.min(spec.top, order.length), answers.top(row), where + ", length of the list");
        if (spec.greedy || spec.sampling != null) {
            int best = ranked[0];
            for (int token : spec.greedy ? new int[0] : kept(0)) {
                double ahead = (altered[token] - altered[best]) / temperature + (noise(token) - noise(best));
                best = ahead > 0 || ahead == 0 && token < best ? token : best;
            }
            assertEquals(best, answers.token(row), where + ", token");
        }
    }

    /** The token of the oracle, or one that is as good within what logits may be off by. */
    private void assertChoice(int token, String where) {
        assertTrue(token >= 0 && token < altered.length && spec.isAllowed(token), where + ": token " + token);
        double most =
                Arrays.stream(ranked).mapToDouble(t -> alteredOff[t]).max().getAsDouble();
        double slack = spec.greedy ? 0 : Math.min(0.5, 1e-5 + 4 * most / temperature);
        double nearest = Double.POSITIVE_INFINITY;
        for (double by : spec.greedy ? new double[] {0} : new double[] {0, slack, -slack}) {
            int[] kept = spec.greedy ? ranked : kept(by);
            if (Arrays.stream(kept).anyMatch(other -> other == token)) {
                nearest = Math.min(nearest, behind(token, kept));
            }
        }
        assertTrue(nearest <= 0, where + ": token " + token + ", whose logit is behind by " + nearest);
    }

    /** By how much the best of these is ahead of a token, less what both may be off by. */
    private double behind(int token, int[] kept) {
        double most = Double.NEGATIVE_INFINITY;
        for (int other : kept) {
            double ahead = altered[other] - altered[token];
            if (!spec.greedy) {
                ahead += temperature * (noise(other) - noise(token) - 4e-6);
            }
            most = Math.max(most, other == token ? 0 : ahead - alteredOff[other] - alteredOff[token]);
        }
        return most;
    }

    private void assertTop(Answers answers, int row, double[] y, double[] off, String where) {
        int[] order = y == altered ? ranked : ranked(model);
        double most =
                Arrays.stream(order).mapToDouble(token -> off[token]).max().getAsDouble();
        assertEquals(Math.min(spec.top, order.length), answers.top(row), where + ", length of the list");
        boolean[] seen = new boolean[y.length];
        for (int place = 0; place < answers.top(row); place++) {
            int token = answers.topToken(row, place);
            float logit = answers.topLogit(row, place);
            String at = where + ", place " + place + " holds token " + token + " with " + logit;
            assertTrue(token >= 0 && token < y.length, at);
            assertFalse(seen[token], at);
            seen[token] = true;
            assertEquals(y[token], logit, off[token], at);
            assertEquals(y[order[place]], y[token], 2 * most, at);
            if (place > 0) {
                float before = answers.topLogit(row, place - 1);
                assertTrue(logit < before || logit == before && token > answers.topToken(row, place - 1), at);
            }
        }
    }
}
