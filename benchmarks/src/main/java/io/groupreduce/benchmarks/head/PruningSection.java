package io.groupreduce.benchmarks.head;

import io.groupreduce.Answers;
import io.groupreduce.BackendSelection;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;

/**
 * What leaving out work that cannot change the answer saves: one hidden state at a time with the bounds off, always used, and used
 * where they pay. It depends on the hidden states, so it says something only of a real model.
 */
final class PruningSection {
    private static final double TOLERANCE = 1e-2;

    private final HeadArguments options;
    private final HeadModel model;

    PruningSection(HeadArguments options, HeadModel model) {
        this.options = options;
        this.model = model;
    }

    void run() {
        int threads = options.threads().get(0);
        System.out.printf(
                "%n## Bounds off, always and where they pay, batch 1, %s, %d thread(s)%n%n", model.name(), threads);
        System.out.println(
                "| head | query | off us | always us | auto us | times as fast, always | times as fast, auto |");
        System.out.println("|---".repeat(7) + "|");
        try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                ReadBandwidth readers = new ReadBandwidth(options.readBytes(), threads);
                Arena arena = Arena.ofShared()) {
            Batch states = model.queries().batches(arena, 1);
            for (HeadSpec spec : options.heads()) {
                try (CompressedFile file = HeadFiles.open(options.cache(), model, spec)) {
                    compare(backend, readers, spec, file.require(spec.toString()), states);
                }
            }
        }
    }

    private void compare(Backend backend, ReadBandwidth readers, HeadSpec spec, CompressedMatrix matrix, Batch states) {
        Answers answers = Answers.of(1);
        Request[] one = new Request[1];
        Map<String, Function<Integer, Request>> questions = new LinkedHashMap<>();
        questions.put("greedy", turn -> Request.greedy());
        questions.put("top-10", turn -> Request.look().top(Head.TOP));
        questions.put("sample, temperature 1", turn -> Request.sample(Sampling.temperature(1), turn));
        questions.put("log-sum-exp", turn -> Request.look().probabilities(Probabilities.MODEL));
        HeadOptions plain = HeadOptions.defaults();
        for (Map.Entry<String, Function<Integer, Request>> question : questions.entrySet()) {
            boolean summed = question.getKey().equals("log-sum-exp");
            HeadOptions bounded = summed ? plain.withLogSumExpTolerance(TOLERANCE) : plain;
            try (SoftmaxHead off = SoftmaxHead.of(backend, matrix, model.bias(), plain.withPruning(Pruning.OFF));
                    SoftmaxHead always =
                            SoftmaxHead.of(backend, matrix, model.bias(), bounded.withPruning(Pruning.ALWAYS));
                    SoftmaxHead auto =
                            SoftmaxHead.of(backend, matrix, model.bias(), bounded.withPruning(Pruning.AUTO))) {
                BiConsumer<SoftmaxHead, Integer> asked = (head, turn) -> {
                    one[0] = question.getValue().apply(turn);
                    head.answer(States.of(states.hidden(turn)), one, answers);
                };
                List<Timing> timings = options.contest(1, readers)
                        .run(
                                List.of(
                                        turn -> asked.accept(off, turn),
                                        turn -> asked.accept(always, turn),
                                        turn -> asked.accept(auto, turn)),
                                options.warmUp());
                System.out.printf(
                        Locale.ROOT,
                        "| %s | %s | %s | %s | %s | %s | %s |%n",
                        spec,
                        question.getKey() + (summed ? ", tolerance " + TOLERANCE : ""),
                        timings.get(0).micros(),
                        timings.get(1).micros(),
                        timings.get(2).micros(),
                        timings.get(1).timesWithSpread(timings.get(0)),
                        timings.get(2).timesWithSpread(timings.get(0)));
            }
        }
    }
}
