package io.groupreduce.testkit;

import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.TokenSet;
import io.groupreduce.api.Sampling;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** What a request asks, readable: a {@link Request} tells only a head. */
final class RequestSpec {
    private static final double[] TEMPERATURES = {1, 0.7, 2.5, 0.05, 1e-3, 1e-320, 1e6};
    private static final int[] TOPS = {0, 0, 1, 5, 20, 200, 1024, 1100, 1_000_000};

    /** {@code null} where nothing is drawn. */
    Sampling sampling;

    boolean greedy;
    long seed;
    int top;
    Probabilities probabilities = Probabilities.NONE;
    int[] scored = {};
    /** {@code null} for all. */
    TokenSet allowed;

    final Map<Integer, Double> bias = new TreeMap<>();
    double repetition = 1;
    double frequency;
    double presence;
    int[] prompt = {};
    final List<Integer> accepted = new ArrayList<>();

    static RequestSpec sample(Sampling sampling, long seed) {
        RequestSpec spec = new RequestSpec();
        spec.sampling = sampling;
        spec.seed = seed;
        return spec;
    }

    /** Draws by this seed with every combination of filters that leaves many of so many tokens, in each with and without a mask. */
    static List<RequestSpec> filtered(long seed, int rows) {
        List<RequestSpec> specs = new ArrayList<>();
        for (int topK : new int[] {0, 300, rows - 100}) {
            for (double topP : new double[] {1, 0.8, 0.95}) {
                for (double minP : new double[] {0, 0.05, 0.7}) {
                    Sampling sampling = new Sampling(1, topK, topP, minP);
                    specs.add(sample(sampling, seed));
                    specs.add(sample(sampling, seed));
                    specs.getLast().allowed =
                            TokenSet.allExcept(IntStream.range(7, rows / 3).toArray());
                }
            }
        }
        return specs;
    }

    /** A request of any kind over so many tokens. */
    static RequestSpec any(SplittableRandom random, int rows) {
        RequestSpec spec = new RequestSpec();
        int choice = random.nextInt(6);
        spec.greedy = choice == 1;
        spec.sampling = choice > 1 ? sampling(random, rows) : null;
        spec.seed = random.nextLong();
        spec.top = TOPS[random.nextInt(TOPS.length)];
        spec.probabilities = Probabilities.values()[random.nextInt(3)];
        if (random.nextInt(3) == 0) {
            spec.scored = tokens(random, rows, random.nextInt(1, 40));
        }
        spec.allowed = allowed(random, rows);
        if (random.nextInt(3) == 0) {
            for (int token : tokens(random, rows, random.nextInt(1, 60))) {
                spec.bias.put(token, random.nextInt(8) == 0 ? 0 : 3 * random.nextGaussian());
            }
        }
        if (random.nextInt(3) == 0) {
            spec.repetition = 0.8 + random.nextDouble();
            spec.prompt = tokens(random, rows, random.nextInt(50));
        }
        if (random.nextInt(3) == 0) {
            spec.frequency = random.nextInt(-1, 3) * 0.3;
            spec.presence = random.nextInt(-1, 3) * 0.5;
            for (int token : tokens(random, Math.min(rows, 40), random.nextInt(30))) {
                spec.accepted.add(token);
            }
        }
        return spec;
    }

    private static Sampling sampling(SplittableRandom random, int rows) {
        Sampling sampling = Sampling.temperature(TEMPERATURES[random.nextInt(TEMPERATURES.length)]);
        int filters = random.nextInt(8);
        int[] topK = {1, 7, 50, 300, 1100, 2 * rows};
        double[] topP = {0.95, 0.5, 1e-9, 0.999};
        double[] minP = {0.05, 0.3, 1};
        return sampling.withTopK((filters & 1) == 0 ? 0 : topK[random.nextInt(topK.length)])
                .withTopP((filters & 2) == 0 ? 1 : topP[random.nextInt(topP.length)])
                .withMinP((filters & 4) == 0 ? 0 : minP[random.nextInt(minP.length)]);
    }

    /** All; one; a few, which are fetched one by one; many; all but some; tokens of the last third alone. */
    private static TokenSet allowed(SplittableRandom random, int rows) {
        int[] some = tokens(random, rows, 5);
        int[] many = tokens(random, rows, rows / 2);
        return switch (random.nextInt(10)) {
            case 0 -> TokenSet.of(some[0]);
            case 1 -> TokenSet.of(some);
            case 2 -> TokenSet.of(many);
            case 3 -> TokenSet.allExcept(many);
            case 4 -> TokenSet.of(IntStream.range(2 * rows / 3, rows).toArray());
            default -> null;
        };
    }

    private static int[] tokens(SplittableRandom random, int rows, int count) {
        return random.ints(count, 0, rows).toArray();
    }

    /** The request, as an engine would have it after these tokens. */
    Request request() {
        Request request =
                sampling != null ? Request.sample(sampling, seed) : greedy ? Request.greedy() : Request.look();
        request.top(top).probabilities(probabilities).score(scored).allow(allowed);
        bias.forEach(request::bias);
        request.repetitionPenalty(repetition).frequencyPenalty(frequency).presencePenalty(presence);
        request.prompt(prompt);
        accepted.forEach(request::accept);
        return request;
    }

    boolean isAllowed(int token) {
        return allowed == null || allowed.contains(token);
    }

    /** The logit that a token is chosen by. */
    double altered(int token, double logit) {
        double y = logit + bias.getOrDefault(token, 0.0);
        long times = accepted.stream().filter(other -> other == token).count();
        if (times > 0 || Arrays.stream(prompt).anyMatch(other -> other == token)) {
            y = y > 0 ? y / repetition : y * repetition;
        }
        return times > 0 ? y - frequency * times - presence : y;
    }

    @Override
    public String toString() {
        return (sampling != null ? sampling + " with seed " + seed : greedy ? "greedy" : "look") + ", top " + top + ", "
                + probabilities + ", scores " + scored.length + ", " + allowed + ", bias " + bias.size()
                + ", penalties "
                + repetition + " on " + prompt.length + ", " + frequency + " and " + presence + " on "
                + accepted.size();
    }
}
