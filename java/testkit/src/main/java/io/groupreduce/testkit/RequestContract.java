package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.MatrixBuilder.Layout;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What a {@link SoftmaxHead} on a backend answers to requests, held against {@link RequestOracle}: batches of different ones, ties, parts of a vocabulary,
 * draws of many steps. Not public: part of {@link InferenceContract}.
 */
abstract class RequestContract extends RefusalContract {
    @Test
    @Tag("long")
    void mixedRequestsAreAnswered() {
        for (boolean steep : new boolean[] {false, true}) {
            try (InferenceCase c = steep ? InferenceCase.steep(52, 1) : InferenceCase.longLists(53, Numbers.SMOOTH);
                    ComputeBackend tested = backend(2)) {
                InferenceCase asked = c.ofEveryWidth();
                try (SoftmaxHead head = head(tested, asked, HeadOptions.defaults())) {
                    Answers answers = Answers.of(20);
                    SplittableRandom random = new SplittableRandom(54);
                    for (int round = 0; round < (slow() ? 3 : steep ? 6 : 20); round++) {
                        int states = new int[] {16, 1, 3, 20}[round % 4];
                        List<RequestSpec> specs = specs(random, states, c.matrix.rows());
                        ask(head, asked, specs, answers);
                        assertAnswers(asked, specs, answers, c.matrix.rows(), "round " + round);
                    }
                }
            }
        }
    }

    private static SoftmaxHead head(ComputeBackend tested, InferenceCase c, HeadOptions options) {
        return SoftmaxHead.of(tested, c.matrix, c.bias, options);
    }

    private static List<RequestSpec> specs(SplittableRandom random, int states, int rows) {
        List<RequestSpec> specs = new ArrayList<>();
        for (int s = 0; s < states; s++) {
            specs.add(RequestSpec.any(random, rows));
        }
        return specs;
    }

    /** Of the first states. */
    private static void ask(SoftmaxHead head, InferenceCase c, List<RequestSpec> specs, Answers answers) {
        Request[] requests = specs.stream().map(RequestSpec::request).toArray(Request[]::new);
        head.answer(States.of(c.hidden).first(specs.size()), requests, answers);
    }

    private static void assertAnswers(
            InferenceCase c, List<RequestSpec> specs, Answers answers, int rows, String what) {
        assertEquals(specs.size(), answers.rows(), what);
        for (int s = 0; s < specs.size(); s++) {
            oracle(c, specs.get(s), s, rows).assertAnswer(answers, s, c.at(what));
        }
    }

    private static RequestOracle oracle(InferenceCase c, RequestSpec spec, int state, int rows) {
        return new RequestOracle(
                spec, c.oracle().logits(state), Arrays.copyOf(c.oracle().tolerances(state), rows));
    }

    /** With integers every logit is exact and many tie, also those that bias and penalties move: the answer is the oracle's, token by token. */
    @Test
    @Tag("long")
    void tiesGoToTheLowerTokenInEveryRequest() {
        try (InferenceCase c = InferenceCase.longLists(62, Numbers.EXACT);
                ComputeBackend tested = backend(2);
                SoftmaxHead whole = head(tested, c, HeadOptions.defaults());
                SoftmaxHead first = head(tested, c, HeadOptions.defaults().withPart(0, 700));
                SoftmaxHead second = head(tested, c, HeadOptions.defaults().withPart(700, c.matrix.rows()))) {
            SplittableRandom random = new SplittableRandom(63);
            Answers answers = Answers.of(16);
            Answers merged = Answers.of(16);
            Answers part = Answers.of(16);
            for (int round = 0; round < (slow() ? 2 : 8); round++) {
                List<RequestSpec> specs = specs(random, 16, c.matrix.rows());
                for (RequestSpec spec : specs) {
                    spec.bias.replaceAll((token, value) -> (double) Math.round(value));
                    spec.repetition = spec.repetition > 1 ? 2 : 1;
                    spec.frequency = Math.round(spec.frequency);
                    spec.presence = Math.round(spec.presence);
                }
                ask(whole, c, specs, answers);
                ask(first, c, specs, merged);
                ask(second, c, specs, part);
                merged.merge(part);
                for (int s = 0; s < 16; s++) {
                    RequestOracle oracle = oracle(c, specs.get(s), s, c.matrix.rows());
                    oracle.assertSameTokens(answers, s, c.at("ties, round " + round));
                    oracle.assertSameTokens(merged, s, c.at("ties, merged, round " + round));
                }
            }
        }
    }

    /** Of flat distributions lists do not tell. Every combination meets a state of every width in three rounds. */
    @Test
    @Tag("long")
    void flatDistributionsAreDrawnFrom() {
        try (InferenceCase plain = InferenceCase.longLists(65, Numbers.SMOOTH);
                ComputeBackend tested = backend(2)) {
            InferenceCase c = plain.ofEveryWidth();
            try (SoftmaxHead head = head(tested, c, HeadOptions.defaults())) {
                Answers answers = Answers.of(InferenceCase.STATES);
                for (int round = 0; round < 3; round++) {
                    List<RequestSpec> specs = new ArrayList<>(RequestSpec.filtered(round, c.matrix.rows()));
                    Collections.rotate(specs, round);
                    ask(head, c, specs, answers);
                    assertAnswers(c, specs, answers, c.matrix.rows(), "flat, round " + round);
                }
            }
        }
    }

    /** All logits are equal, and a token that is looked at alone stands after many that no list holds. */
    @Test
    @Tag("long")
    void whereAListEndsInTiesTheLowerTokensStay() {
        try (InferenceCase c = InferenceCase.longLists(64, Numbers.EXACT);
                ComputeBackend tested = backend(2);
                SoftmaxHead head = head(tested, c, HeadOptions.defaults())) {
            int rows = c.matrix.rows();
            for (int kept : new int[] {64, 65}) {
                List<RequestSpec> specs = new ArrayList<>();
                for (int seed = 0; seed < 80; seed++) {
                    RequestSpec spec =
                            RequestSpec.sample(Sampling.temperature(1).withTopP((kept - 0.5) / rows), seed);
                    spec.prompt = new int[] {rows - 5};
                    spec.repetition = 2;
                    specs.add(spec);
                }
                Answers answers = Answers.of(specs.size());
                Request[] requests = specs.stream().map(RequestSpec::request).toArray(Request[]::new);
                head.answer(States.of(new float[specs.size() * c.matrix.columns()]), requests, answers);
                for (int s = 0; s < specs.size(); s++) {
                    RequestOracle oracle = new RequestOracle(specs.get(s), new float[rows], new double[rows]);
                    oracle.assertSameTokens(answers, s, c.at(kept + " kept"));
                }
            }
        }
    }

    @Test
    void tokensBeyondTheVocabularyAreNone() {
        try (InferenceCase c = InferenceCase.longLists(55, Numbers.SMOOTH);
                ComputeBackend tested = backend(2)) {
            int limit = 1000;
            try (SoftmaxHead head = head(tested, c, HeadOptions.defaults().withVocabulary(limit))) {
                assertEquals(limit, head.vocabularySize());
                Answers answers = Answers.of(16);
                List<RequestSpec> specs = specs(new SplittableRandom(56), 16, limit);
                ask(head, c, specs, answers);
                assertAnswers(c, specs, answers, limit, "limit of " + limit);
            }
        }
    }

    /** Merged in any order they are the whole's; only a draw that keeps more than parts list may be left open. */
    @Test
    @Tag("long")
    void partsOfAVocabularyMergeToTheWhole() {
        for (boolean steep : new boolean[] {false, true}) {
            try (InferenceCase c = steep ? InferenceCase.steep(57, 1) : InferenceCase.longLists(58, Numbers.SMOOTH);
                    ComputeBackend tested = backend(2)) {
                InferenceCase asked = c.ofEveryWidth();
                int rows = c.matrix.rows();
                for (int[] ends : new int[][] {{rows / 4 + 3, rows}, {rows / 2 + 1, rows / 2 + 60, rows}}) {
                    assertPartsMerge(tested, asked, ends, slow() || steep ? 2 : 4);
                }
            }
        }
    }

    private static void assertPartsMerge(ComputeBackend tested, InferenceCase c, int[] ends, int rounds) {
        List<SoftmaxHead> parts = new ArrayList<>();
        for (int p = 0; p < ends.length; p++) {
            HeadOptions options = HeadOptions.defaults().withPart(p == 0 ? 0 : ends[p - 1], ends[p]);
            parts.add(head(tested, c, options));
        }
        int rows = c.matrix.rows();
        SplittableRandom random = new SplittableRandom(59);
        for (int round = 0; round < rounds; round++) {
            List<RequestSpec> specs = round == 1 ? RequestSpec.filtered(7, rows) : specs(random, 12, rows);
            Answers merged = null;
            for (int p = 0; p < ends.length; p++) {
                Answers part = Answers.of(specs.size());
                ask(parts.get((p + round) % ends.length), c, specs, part);
                if (merged == null) {
                    merged = part;
                } else {
                    merged.merge(part);
                }
            }
            for (int s = 0; s < specs.size(); s++) {
                RequestSpec spec = specs.get(s);
                RequestOracle oracle = oracle(c, spec, s, rows);
                if (spec.sampling != null && merged.token(s) < 0) {
                    int kept = oracle.kept(1e-3).length;
                    assertTrue(kept > 1024, c.at("undecided, though only " + kept + " tokens are kept by " + spec));
                } else {
                    oracle.assertAnswer(merged, s, c.at("merged of " + ends.length + " parts, round " + round));
                }
            }
        }
        States one = States.of(c.hidden).first(1);
        assertThrows(InvalidOptionException.class, () -> parts.get(0).sample(one, Request.greedy()));
        Answers part = Answers.of(1);
        parts.get(0).answer(one, new Request[] {Request.look().score(rows - 1)}, part);
        assertTrue(Float.isNaN(part.scoreLogit(0, 0)), "a score of a token of another part");
        parts.forEach(SoftmaxHead::close);
    }

    /**
     * Each of 200 steps draws anew, from the distribution that the request makes of the logits at that step, whatever else is in the batch. The chi-square of
     * the tokens that each kind of request drew is below what one in a thousand exceeds; seeds are fixed.
     */
    @Test
    void manyStepsDrawAsAMultinomialDoes() {
        try (Arena arena = Arena.ofShared();
                ComputeBackend tested = backend(2)) {
            int columns = 5;
            CompressedMatrix matrix = new MatrixBuilder(arena, 9, columns)
                    .basis(3, Numbers.SMOOTH)
                    .group(0, 3, Layout.F32, Numbers.SMOOTH, 9)
                    .zero(3)
                    .build("small");
            float[] state = {0.9f, -0.5f, 1.1f, 0.3f, -0.7f};
            List<RequestSpec> specs = new ArrayList<>();
            int kinds = kinds(0).size();
            for (int sequence = 0; sequence < (slow() ? 3 : 8); sequence++) {
                specs.addAll(kinds(sequence));
            }
            try (SoftmaxHead head = SoftmaxHead.of(tested, matrix, null, HeadOptions.defaults())) {
                float[] logits = new float[matrix.rows()];
                head.logits(States.of(state), logits);
                float[] hidden = new float[specs.size() * columns];
                for (int i = 0; i < hidden.length; i++) {
                    hidden[i] = state[i % columns];
                }
                double[][] expected = new double[kinds][matrix.rows()];
                int[][] drawn = new int[kinds][matrix.rows()];
                States states = States.of(hidden);
                Request[] requests = specs.stream().map(RequestSpec::request).toArray(Request[]::new);
                for (int step = 0; step < 200; step++) {
                    int[] tokens = head.sample(states, requests);
                    for (int s = 0; s < tokens.length; s++) {
                        RequestSpec spec = specs.get(s);
                        double[] probability =
                                new RequestOracle(spec, logits, new double[logits.length]).probabilities();
                        for (int token = 0; token < probability.length; token++) {
                            expected[s % kinds][token] += probability[token];
                        }
                        drawn[s % kinds][tokens[s]]++;
                        spec.accepted.add(tokens[s]);
                    }
                }
                for (int kind = 0; kind < kinds; kind++) {
                    assertDistributed(
                            expected[kind], drawn[kind], specs.get(kind).toString());
                }
                assertNeighboursDiffer(head, logits, state);
            }
        }
    }

    private static List<RequestSpec> kinds(long seed) {
        Sampling plain = Sampling.temperature(1);
        RequestSpec masked = RequestSpec.sample(plain, seed);
        masked.allowed = TokenSet.allExcept(2, 5, 11);
        RequestSpec biased = RequestSpec.sample(plain, seed + 1000);
        biased.bias.put(1, 1.5);
        biased.bias.put(4, -1.0);
        RequestSpec penalized = RequestSpec.sample(plain, seed + 2000);
        penalized.prompt = new int[] {0, 3};
        penalized.repetition = 1.4;
        penalized.frequency = 0.01;
        penalized.presence = 0.3;
        RequestSpec all = RequestSpec.sample(plain.withTopK(8), seed + 3000);
        all.allowed = TokenSet.allExcept(7);
        all.bias.put(2, 0.7);
        all.frequency = 0.02;
        return List.of(
                RequestSpec.sample(plain, seed + 4000),
                RequestSpec.sample(Sampling.temperature(0.6), seed + 5000),
                RequestSpec.sample(plain.withTopK(5), seed + 6000),
                RequestSpec.sample(plain.withTopP(0.8), seed + 7000),
                masked,
                biased,
                penalized,
                all);
    }

    /** Seeds in a row, all at their first step. */
    private static void assertNeighboursDiffer(SoftmaxHead head, float[] logits, float[] state) {
        int draws = 2000;
        float[] hidden = new float[draws * state.length];
        Request[] requests = new Request[draws];
        for (int i = 0; i < draws; i++) {
            System.arraycopy(state, 0, hidden, i * state.length, state.length);
            requests[i] = Request.sample(Sampling.temperature(1), i);
        }
        RequestSpec spec = RequestSpec.sample(Sampling.temperature(1), 0);
        double[] expected = new RequestOracle(spec, logits, new double[logits.length]).probabilities();
        Arrays.setAll(expected, token -> draws * expected[token]);
        int[] drawn = new int[expected.length];
        for (int token : head.sample(States.of(hidden), requests)) {
            drawn[token]++;
        }
        assertDistributed(expected, drawn, "seeds in a row");
    }

    private static void assertDistributed(double[] expected, int[] drawn, String what) {
        double square = 0;
        int freedom = -1;
        for (int token = 0; token < drawn.length; token++) {
            String where = what + ": " + drawn[token] + " times token " + token + " instead of " + expected[token];
            assertEquals(expected[token] > 0, drawn[token] > 0, where);
            if (expected[token] > 0) {
                assertTrue(expected[token] >= 5, where);
                square += Math.pow(drawn[token] - expected[token], 2) / expected[token];
                freedom++;
            }
        }
        // Wilson and Hilferty's approximation of the quantile at 0.999.
        double ninth = 2.0 / (9 * freedom);
        double bound = freedom * Math.pow(1 - ninth + 3.09 * Math.sqrt(ninth), 3);
        assertTrue(
                square < bound,
                what + ": chi-square " + square + " above " + bound + ": " + Arrays.toString(drawn) + " instead of "
                        + Arrays.toString(expected));
    }
}
