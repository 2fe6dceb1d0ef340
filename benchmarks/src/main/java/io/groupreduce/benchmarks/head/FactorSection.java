package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Locale;

/**
 * The fused softmax against the same factors in OpenBLAS: decoded to F32 beforehand, all logits written, then looked through by
 * separate passes, which only read.
 */
final class FactorSection {
    private final HeadArguments options;
    private final OpenBlas blas;
    private final HeadModel model;

    /** What both heads are asked. */
    private enum Question {
        TOP,
        SCORE;

        void ask(ScoringHead head, Batch batch, int turn) {
            if (this == TOP) {
                head.topWithLogProbabilities(batch, turn);
            } else {
                head.score(batch, turn);
            }
        }

        /** The largest difference between two heads' answers. */
        double difference(HeadAnswers ours, HeadAnswers theirs, int states) {
            return this == TOP
                    ? FactorSection.difference(ours.logProbabilities, theirs.logProbabilities, states * Head.TOP)
                    : FactorSection.difference(ours.targetLogProbabilities, theirs.targetLogProbabilities, states);
        }
    }

    FactorSection(HeadArguments options, OpenBlas blas, HeadModel model) {
        this.options = options;
        this.blas = blas;
        this.model = model;
    }

    /** The ten likeliest tokens with their log-probabilities. */
    void top() {
        System.out.printf(
                "%n## Top-10 with log-probabilities against OpenBLAS on the same factors, %s%n%n", model.name());
        run(options.batches(16, 64, 256), Question.TOP);
    }

    /** The log-probability of one target a state. */
    void perplexity() {
        System.out.printf("%n## Perplexity against materialised logits of the same factors, %s%n%n", model.name());
        run(options.batches(256), Question.SCORE);
    }

    private void run(List<Integer> sizes, Question question) {
        System.out.println("| threads | batch | head | us (least-most) | OpenBLAS us (least-most) | tokens/s"
                + " | OpenBLAS time / ours (least-most) | largest difference of a log-probability, nats |");
        System.out.println("|---".repeat(8) + "|");
        for (int threads : options.threads()) {
            blas.threads(threads);
            try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                    ReadBandwidth reader = new ReadBandwidth(Math.max(1, options.flushBytes()), threads)) {
                for (HeadSpec spec : options.heads()) {
                    try (CompressedFile file = HeadFiles.open(options.cache(), model, spec)) {
                        measure(backend, reader, file.require(spec.toString()), threads, sizes, question);
                    }
                }
            }
        }
    }

    private void measure(
            Backend backend,
            ReadBandwidth reader,
            CompressedMatrix matrix,
            int threads,
            List<Integer> sizes,
            Question question) {
        float[] bias = matrix.bias() == null ? model.bias() : matrix.bias();
        try (OurHead ours = new OurHead(backend, matrix, model.bias(), options.pruning());
                BlasFactorHead theirs = new BlasFactorHead(blas, matrix, bias, threads);
                Arena arena = Arena.ofShared()) {
            for (int states : sizes) {
                Batch batch = model.queries().batches(arena, states);
                List<Timing> timings = options.contest(threads, reader)
                        .run(
                                List.of(
                                        turn -> question.ask(ours, batch, turn),
                                        turn -> question.ask(theirs, batch, turn)),
                                options.warmUp());
                question.ask(ours, batch, 0);
                question.ask(theirs, batch, 0);
                System.out.printf(
                        Locale.ROOT,
                        "| %d | %d | %s | %s | %s | %.0f | %s | %.1e |%n",
                        threads,
                        states,
                        ours.name(),
                        timings.get(0).micros(),
                        timings.get(1).micros(),
                        states / timings.get(0).median(),
                        timings.get(0).timesWithSpread(timings.get(1)),
                        question.difference(ours.answers(), theirs.answers(), states));
            }
        }
    }

    private static double difference(float[] ours, float[] theirs, int count) {
        double most = 0;
        for (int i = 0; i < count; i++) {
            most = Math.max(most, Math.abs(ours[i] - theirs[i]));
        }
        return most;
    }
}
