package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Device;
import io.groupreduce.api.Progress;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Compressed heads in a folder: made when they are first asked for, opened ever after. */
final class HeadFiles {
    private HeadFiles() {}

    /** The file of a head; its matrix is called what {@code spec} says. */
    static CompressedFile open(Path cache, HeadModel model, HeadSpec spec) {
        Path file = cache.resolve("head-" + model.name() + "-" + spec + ".safetensors");
        if (!Files.exists(file)) {
            System.err.println("compressing " + file.getFileName());
            int threads = Runtime.getRuntime().availableProcessors();
            try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                    Arena arena = Arena.ofShared()) {
                CompressionResult result = GroupReduce.compress(
                        backend,
                        model.dense(),
                        model.counts(),
                        null,
                        model.known(),
                        spec.options(),
                        arena,
                        Progress.NONE);
                CompressedEntry entry = CompressedEntry.of(result, spec.toString(), Logits.PLAIN);
                CompressedFile.write(file, List.of(entry), List.of(), Map.of(), Map.of());
            }
        }
        return CompressedFile.open(file);
    }
}
