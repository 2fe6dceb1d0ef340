package io.groupreduce.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.Request;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Sampling;
import io.groupreduce.matrix.Codec;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExamplesTest {
    private static final Path DEMO = Path.of("../cli/src/main/resources/io/groupreduce/cli/demo");
    private static final Sampling SAMPLING = Sampling.temperature(0.9).withTopP(0.95);

    private static final double TEMPERATURE = 0.7;

    private static LanguageModel model;
    private static int[] prompt;

    @BeforeAll
    static void open(@TempDir Path directory) throws IOException {
        Path compressed = directory.resolve("small.safetensors");
        Path counts = DEMO.resolve("counts.tsv");
        // The quickest method, on the backend that has no kernels to be compiled first: what the examples do does not
        // depend on it.
        CompressionOptions quick =
                CompressionOptions.defaults().withMethod(Method.SVD).withCodec(Codec.INT8);
        try (Backend plain = BackendSelection.select(Device.REFERENCE, 1).backend()) {
            LanguageModel.compress(DEMO.resolve("model.safetensors"), counts, quick, plain, compressed);
        }
        model = LanguageModel.open(compressed, counts, HeadOptions.defaults());
        prompt = model.tokens("and god said unto moses");
    }

    @AfterAll
    static void close() {
        model.close();
    }

    @Test
    void theTourRunsToItsEnd() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Tour.run(model, new PrintStream(bytes, true, StandardCharsets.UTF_8));
        assertEquals(11, bytes.toString(StandardCharsets.UTF_8).lines().count());
    }

    @Test
    void theLoopSaysTheLikeliestToken() {
        int[] said = DecoderLoop.generate(model, prompt, 8, Request.greedy());
        for (int i = 0; i < said.length; i++) {
            float[] logits = logits(join(prompt, Arrays.copyOf(said, i)));
            for (float logit : logits) {
                assertTrue(logit <= logits[said[i]]);
            }
        }
    }

    @Test
    void theLoopDrawsAnewEachStepAndTheSameEachTime() {
        int[] said = DecoderLoop.generate(model, prompt, 20, Request.sample(SAMPLING, 5));
        assertArrayEquals(said, DecoderLoop.generate(model, prompt, 20, Request.sample(SAMPLING, 5)));
        assertFalse(Arrays.equals(said, DecoderLoop.generate(model, prompt, 20, Request.sample(SAMPLING, 6))));
        assertTrue(Arrays.stream(said).distinct().count() > 5);
    }

    @Test
    void theLoopStopsAtTheEndOfTheText() {
        Request request = Request.sample(SAMPLING, 5).bias(model.endOfText(), 1000);
        assertArrayEquals(new int[] {model.endOfText()}, DecoderLoop.generate(model, prompt, 20, request));
    }

    @Test
    void whatTheGrammarAllowsIsJson() {
        JsonTokens tokens = new JsonTokens(model);
        int brackets = 0;
        for (int seed = 0; seed < 12; seed++) {
            int most = 3 + 4 * seed;
            Request request = seed == 0 ? Request.greedy() : Request.sample(SAMPLING, seed);
            request.bias(model.token("("), 7).bias(model.token("-"), 7);
            String said = ConstrainedDecoding.generate(model, prompt, request, new JsonGrammar(tokens, most));
            assertTrue(isJsonObject(said), said);
            brackets += (int) said.chars().filter(c -> c == '[' || c == '{').count();
            // Every token but the end makes at least one sign.
            assertTrue(request.step() <= most && said.length() + 1 >= request.step(), said);
        }
        assertTrue(brackets > 20);
    }

    @Test
    void whatIsNoJsonIsSeen() {
        assertTrue(isJsonObject("{\"a\": [1, {}, null], \"b\": {\"c\": []}}"));
        for (String text : List.of("{\"a\": }", "{\"a\": 1,}", "[1]", "{\"a\": [1}]", "{1: 2}", "{} {}", "{\"a\" 1}")) {
            assertFalse(isJsonObject(text), text);
        }
    }

    /** Takes values together, from the innermost outwards. */
    private static boolean isJsonObject(String text) {
        String rest = text.replaceAll("\\s", "").replaceAll("\"[a-z]*\"", "s").replaceAll("\\d+|true|false|null", "v");
        String before = "";
        while (!rest.equals(before)) {
            before = rest;
            rest = rest.replaceAll("\\[([svo](,[svo])*)?\\]", "v").replaceAll("\\{(s:[svo](,s:[svo])*)?\\}", "o");
        }
        return rest.equals("o");
    }

    @Test
    void speculationSaysWhatTheLoopSays() {
        Transformer draft = model.body().first(1);
        for (Request request : List.of(
                Request.greedy(),
                Request.greedy().repetitionPenalty(1.5),
                Request.sample(SAMPLING, 3),
                Request.sample(Sampling.temperature(1), 4).frequencyPenalty(0.5).presencePenalty(0.5))) {
            int[] plain = DecoderLoop.generate(model, prompt, 15, request.copy());
            for (int proposals = 1; proposals <= 3; proposals += 2) {
                Speculation said = SpeculativeDecoding.generate(model, draft, prompt, 15, request.copy(), proposals);
                assertArrayEquals(plain, said.said(15));
                assertTrue(said.acceptance() > 0 && said.acceptance() < 1, () -> "kept " + said.acceptance());
            }
        }
    }

    @Test
    void speculationOfTheBodyItselfKeepsEverything() {
        Speculation said = SpeculativeDecoding.generate(model, model.body(), prompt, 9, Request.sample(SAMPLING, 8), 3);
        assertEquals(1, said.acceptance());
        Request request = Request.sample(Sampling.temperature(1), 8);
        Speculation sampled =
                SpeculativeSampling.generate(model, model.body(), prompt, 9, request, 3, new SplittableRandom(1));
        assertEquals(1, sampled.acceptance());
    }

    /** Three tokens out of four are 64 outcomes; how often each came is held against its probability in the plain loop. */
    @Test
    void speculativeSamplingDrawsAsTheLoopDoes() {
        int runs = 400;
        int[] start = model.tokens("the");
        int[] choice = model.tokens("king hand son people");
        // Of another mind than the body, so that much is refused.
        Transformer draft = Transformer.random(model.head().hiddenSize(), 1, new SplittableRandom(3));
        int[] seen = new int[64];
        SplittableRandom random = new SplittableRandom(1);
        double acceptance = 0;
        for (int run = 0; run < runs; run++) {
            Request request =
                    Request.sample(Sampling.temperature(TEMPERATURE), run).allow(TokenSet.of(choice));
            Speculation said = SpeculativeSampling.generate(model, draft, start, 3, request, 2, random);
            acceptance += said.acceptance() / runs;
            int outcome = 0;
            for (int token : said.said(3)) {
                outcome = 4 * outcome + Arrays.stream(choice).boxed().toList().indexOf(token);
            }
            seen[outcome]++;
        }
        assertTrue(acceptance > 0.3 && acceptance < 0.8, "kept " + acceptance);
        double as = chiSquared(seen, outcomes(model.body(), start, choice));
        double asDraft = chiSquared(seen, outcomes(draft, start, choice));
        assertTrue(as < 4, as + " standard deviations");
        assertTrue(asDraft > 100, "the draft alone: " + asDraft + " standard deviations");
    }

    private static double[] outcomes(Transformer body, int[] start, int[] choice) {
        double[] probabilities = new double[64];
        for (int outcome = 0; outcome < 64; outcome++) {
            int[] said = {choice[outcome / 16], choice[outcome / 4 % 4], choice[outcome % 4]};
            probabilities[outcome] = 1;
            for (int i = 0; i < 3; i++) {
                float[] logits =
                        model.head().logitsOf(States.of(state(body, join(start, Arrays.copyOf(said, i)))), choice);
                int its = outcome >> 2 * (2 - i) & 3;
                double sum = 0;
                for (float logit : logits) {
                    sum += Math.exp((logit - logits[its]) / TEMPERATURE);
                }
                probabilities[outcome] /= sum;
            }
        }
        return probabilities;
    }

    /** How many standard deviations the statistic lies above its mean; outcomes that are expected less than five times count as one. */
    private static double chiSquared(int[] seen, double[] probabilities) {
        int runs = Arrays.stream(seen).sum();
        double sum = 0;
        int outcomes = 1;
        double rareSeen = 0;
        double rareExpected = 0;
        for (int i = 0; i < seen.length; i++) {
            double expected = runs * probabilities[i];
            if (expected < 5) {
                rareSeen += seen[i];
                rareExpected += expected;
            } else {
                sum += (seen[i] - expected) * (seen[i] - expected) / expected;
                outcomes++;
            }
        }
        sum += (rareSeen - rareExpected) * (rareSeen - rareExpected) / rareExpected;
        return (sum - (outcomes - 1)) / Math.sqrt(2.0 * (outcomes - 1));
    }

    @Test
    void usersGetWhatTheyGetAlone() {
        int[] other = model.tokens("the lord");
        List<Request> requests = List.of(
                Request.greedy(),
                Request.sample(SAMPLING, 1),
                Request.sample(SAMPLING, 1).repetitionPenalty(1.3),
                Request.sample(Sampling.temperature(1.2), 2).presencePenalty(1).frequencyPenalty(0.2),
                Request.greedy().repetitionPenalty(2).allow(TokenSet.allExcept(model.endOfText())),
                Request.sample(Sampling.temperature(0.7).withTopK(20).withMinP(0.05), 3)
                        .bias(model.token("the"), -3),
                Request.sample(Sampling.temperature(1), 4).allow(TokenSet.of(model.tokens("moses aaron david"))));
        for (int places : new int[] {1, 3, 4}) {
            List<ContinuousBatch.User> users = new ArrayList<>();
            for (int i = 0; i < requests.size(); i++) {
                users.add(new ContinuousBatch.User(
                        i % 2 == 0 ? prompt : other,
                        4 + 3 * i % 11,
                        requests.get(i).copy()));
            }
            new ContinuousBatch(model, places).serve(users);
            for (int i = 0; i < users.size(); i++) {
                int[] alone = DecoderLoop.generate(
                        model,
                        i % 2 == 0 ? prompt : other,
                        4 + 3 * i % 11,
                        requests.get(i).copy());
                assertArrayEquals(alone, users.get(i).said(), "user " + i + " of " + places + " places");
            }
        }
    }

    @Test
    void logProbabilitiesAreThoseOfTheLogits() {
        List<LogProbabilities.Chosen> said = LogProbabilities.generate(
                model, prompt, 4, Request.sample(SAMPLING, 9).frequencyPenalty(1), 5);
        int[] text = prompt;
        for (LogProbabilities.Chosen chosen : said) {
            float[] logits = logits(text);
            assertEquals(
                    logProbability(logits, model.token(chosen.token().text())),
                    chosen.token().logProbability(),
                    1e-4);
            Integer[] ranked = new Integer[logits.length];
            Arrays.setAll(ranked, i -> i);
            Arrays.sort(ranked, (a, b) -> Float.compare(logits[b], logits[a]));
            for (int place = 0; place < 5; place++) {
                LogProbabilities.Token likely = chosen.top().get(place);
                assertEquals(model.word(ranked[place]), likely.text());
                assertEquals(logProbability(logits, ranked[place]), likely.logProbability(), 1e-4);
            }
            text = join(text, model.token(chosen.token().text()));
        }
        assertEquals(4, said.size());
    }

    @Test
    void aTextIsScoredAtOnce() {
        float[] logProbabilities = LogProbabilities.ofText(model, prompt);
        assertEquals(prompt.length - 1, logProbabilities.length);
        for (int i = 1; i < prompt.length; i++) {
            double expected = logProbability(logits(Arrays.copyOf(prompt, i)), prompt[i]);
            assertEquals(expected, logProbabilities[i - 1], 1e-4);
        }
    }

    private static double logProbability(float[] logits, int token) {
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp((double) logit - logits[token]);
        }
        return -Math.log(sum);
    }

    private static float[] logits(int[] text) {
        float[] logits = new float[model.head().vocabularySize()];
        model.head().logits(States.of(state(model.body(), text)), logits);
        return logits;
    }

    /** The hidden state after a text, read anew. */
    private static float[] state(Transformer body, int[] text) {
        float[] state = new float[model.head().hiddenSize()];
        Transformer.Cache cache = body.begin();
        for (int token : text) {
            model.read(body, token, cache, state, 0);
        }
        return state;
    }

    private static int[] join(int[] first, int... second) {
        int[] joined = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, joined, first.length, second.length);
        return joined;
    }
}
