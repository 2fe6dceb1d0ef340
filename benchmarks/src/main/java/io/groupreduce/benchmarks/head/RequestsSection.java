package io.groupreduce.benchmarks.head;

import io.groupreduce.Answers;
import io.groupreduce.BackendSelection;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/**
 * What a request costs beside a plain one: more answers from one pass, tokens that are not allowed, penalties and biases, and small batches,
 * whose every row has a request of its own.
 */
final class RequestsSection {
    private static final long SEED = 15;
    /** Tokens that are not allowed, that were seen, and that have a bias. */
    private static final int NAMED = 300;

    private static final int ALLOWED = 50;
    private static final int SCORED = 1000;
    private static final int TOP = 20;
    /** At this temperature nearly all tokens are needed to reach a share of 0.95. */
    private static final double FLAT = 100;

    private final HeadArguments options;
    private final HeadModel model;

    RequestsSection(HeadArguments options, HeadModel model) {
        this.options = options;
        this.model = model;
    }

    void run() {
        for (int threads : options.threads()) {
            System.out.printf("%n## Requests, %s, %d thread(s)%n%n", model.name(), threads);
            System.out.println("| head | request | batch | us | times the first | times a plain draw of as many |");
            System.out.println("|---".repeat(6) + "|");
            try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                    ReadBandwidth readers = new ReadBandwidth(options.readBytes(), threads);
                    Arena arena = Arena.ofShared()) {
                for (HeadSpec spec : options.heads()) {
                    try (CompressedFile file = HeadFiles.open(options.cache(), model, spec);
                            SoftmaxHead head = SoftmaxHead.of(
                                    backend,
                                    file.require(spec.toString()),
                                    model.bias(),
                                    HeadOptions.defaults().withPruning(options.pruning()))) {
                        compare(spec, head, options.contest(threads, readers), arena);
                    }
                }
            }
        }
    }

    private Map<String, Supplier<Request>> kinds(int vocabulary) {
        SplittableRandom random = new SplittableRandom(SEED);
        int[] named = random.ints(0, vocabulary).distinct().limit(3 * NAMED).toArray();
        int[] scored = random.ints(SCORED, 0, vocabulary).toArray();
        TokenSet most = TokenSet.allExcept(Arrays.copyOf(named, NAMED));
        TokenSet few = TokenSet.of(random.ints(ALLOWED, 0, vocabulary).toArray());
        Sampling sampling = Sampling.temperature(1);
        Map<String, Supplier<Request>> kinds = new LinkedHashMap<>();
        kinds.put("greedy", Request::greedy);
        kinds.put("draw", () -> Request.sample(sampling, SEED));
        kinds.put(
                "greedy, log-probability, top-20",
                () -> Request.greedy().top(TOP).probabilities(Probabilities.MODEL));
        kinds.put(
                "draw, log-probability, top-20",
                () -> Request.sample(sampling, SEED).top(TOP).probabilities(Probabilities.MODEL));
        kinds.put("draw, some not allowed", () -> Request.sample(sampling, SEED).allow(most));
        kinds.put("draw, some not allowed, penalties, biases", () -> {
            Request request = Request.sample(sampling, SEED).allow(most).repetitionPenalty(1.1);
            for (int i = NAMED; i < 2 * NAMED; i++) {
                request.prompt(named[i]).bias(named[NAMED + i], 1);
            }
            return request;
        });
        kinds.put("draw, top-p 0.95", () -> Request.sample(sampling.withTopP(0.95), SEED));
        Sampling flat = Sampling.temperature(FLAT).withTopP(0.95);
        kinds.put("draw, top-p 0.95 of a flat distribution", () -> Request.sample(flat, SEED));
        kinds.put("draw, few allowed", () -> Request.sample(sampling, SEED).allow(few));
        kinds.put("scores of " + SCORED, () -> Request.look().score(scored));
        return kinds;
    }

    private void compare(HeadSpec spec, SoftmaxHead head, Contest contest, Arena arena) {
        List<String> names = new ArrayList<>();
        List<Integer> sizes = new ArrayList<>();
        List<Contest.Call> calls = new ArrayList<>();
        Map<String, Supplier<Request>> kinds = kinds(head.vocabularySize());
        for (int size : options.batches(1, 2, 4, 16)) {
            Batch batch = model.queries().batches(arena, size);
            Answers answers = Answers.of(size);
            kinds.forEach((name, kind) -> {
                Request[] requests = new Request[size];
                Arrays.setAll(requests, row -> kind.get());
                names.add(name);
                sizes.add(size);
                calls.add(turn -> {
                    for (Request request : requests) {
                        request.step(turn);
                    }
                    head.answer(States.of(batch.hidden(turn)), requests, answers);
                });
            });
        }
        List<Timing> timings = contest.run(calls, options.warmUp());
        for (int c = 0; c < names.size(); c++) {
            Timing plain = timings.get(c - c % kinds.size() + 1);
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %s | %d | %s | %s | %s |%n",
                    spec,
                    names.get(c),
                    sizes.get(c),
                    timings.get(c).micros(),
                    longer(timings.get(c), timings.get(0)),
                    longer(timings.get(c), plain));
        }
    }

    /** How many times as long as another. */
    private static String longer(Timing timing, Timing other) {
        return other.timesWithSpread(timing);
    }
}
