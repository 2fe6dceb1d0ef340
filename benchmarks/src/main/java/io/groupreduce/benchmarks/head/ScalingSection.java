package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Locale;

/**
 * Many threads against few in the same rounds: top-10 of the fused softmax without a log-sum-exp, and plain reading of as many bytes,
 * which is its roof.
 */
final class ScalingSection {
    private final HeadArguments options;
    private final HeadModel model;

    ScalingSection(HeadArguments options, HeadModel model) {
        this.options = options;
        this.model = model;
    }

    void run() {
        int few = options.threads().get(0);
        int many = options.threads().get(options.threads().size() - 1);
        System.out.printf("%n## %d threads against %d, top-10, %s%n%n", many, few, model.name());
        System.out.printf(
                "| batch | head | us, threads: %d | us, threads: %d | times as fast (least-most)"
                        + " | reading the same bytes, times as fast |%n",
                few, many);
        System.out.println("|---".repeat(6) + "|");
        try (Backend fewBackend = BackendSelection.select(Device.CPU, few).backend();
                Backend manyBackend = BackendSelection.select(Device.CPU, many).backend();
                ReadBandwidth fewReaders = new ReadBandwidth(options.readBytes(), few);
                ReadBandwidth manyReaders = new ReadBandwidth(options.readBytes(), many);
                Arena arena = Arena.ofShared()) {
            for (HeadSpec spec : options.heads()) {
                try (CompressedFile file = HeadFiles.open(options.cache(), model, spec)) {
                    CompressedMatrix matrix = file.require(spec.toString());
                    try (OurHead alone = new OurHead(fewBackend, matrix, model.bias(), options.pruning());
                            OurHead together = new OurHead(manyBackend, matrix, model.bias(), options.pruning())) {
                        for (int states : options.batches(1, 64)) {
                            Batch batch = model.queries().batches(arena, states);
                            // No peer spins after its call here, and a pause would send our own threads to sleep.
                            List<Timing> timings = options.contest(1, fewReaders)
                                    .run(
                                            List.of(
                                                    turn -> alone.top(batch, turn),
                                                    turn -> together.top(batch, turn),
                                                    turn -> fewReaders.read(alone.bytes()),
                                                    turn -> manyReaders.read(alone.bytes())),
                                            options.warmUp());
                            print(states, spec, timings);
                        }
                    }
                }
            }
        }
    }

    private static void print(int states, HeadSpec spec, List<Timing> timings) {
        System.out.printf(
                Locale.ROOT,
                "| %d | %s | %s | %s | %s | %.2f |%n",
                states,
                spec,
                timings.get(0).micros(),
                timings.get(1).micros(),
                timings.get(1).timesWithSpread(timings.get(0)),
                timings.get(3).times(timings.get(2)));
    }
}
