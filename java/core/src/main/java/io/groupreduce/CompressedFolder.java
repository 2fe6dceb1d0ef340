package io.groupreduce;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.ModelFolder;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** Writes a compressed model as a directory: every shard under its name, with what it held before, compressed, copied, or as it is. */
final class CompressedFolder {
    private final CompressionJob job;
    private final Model model;
    /** The input as a compressed model; {@code null} if it is none. */
    private final CompressedFile earlier;

    private final Consumer<String> tell;

    CompressedFolder(CompressionJob job, Model model, CompressedFile earlier, Consumer<String> tell) {
        this.job = job;
        this.model = model;
        this.earlier = earlier;
        this.tell = tell;
    }

    void write(OutputFile output, List<CompressedEntry> entries, List<Tensor> copied, Map<String, String> tied) {
        ModelFolder folder = ModelFolder.of(job.input());
        List<String> leftOut = folder.leftOut();
        if (!leftOut.isEmpty()) {
            tell.accept("Not copied, since they hold the weights in other forms: " + String.join(", ", leftOut) + ".");
        }
        Set<Path> changed = new HashSet<>();
        entries.forEach(entry -> changed.add(home(entry.matrix().name())));
        tied.keySet().stream()
                .filter(model.tensors()::containsKey)
                .map(this::home)
                .forEach(changed::add);
        folder.copy(
                output,
                job.only() ? model.files() : List.copyOf(changed),
                (source, target) -> {
                    List<CompressedEntry> here = entries.stream()
                            .filter(entry -> home(entry.matrix().name()).equals(source))
                            .toList();
                    List<Tensor> kept = copied.stream()
                            .filter(tensor -> home(tensor.name()).equals(source))
                            .toList();
                    Map<String, String> equal = new HashMap<>(tied);
                    equal.values().removeIf(name -> !home(name).equals(source));
                    Map<String, String> own = earlier == null ? model.metadata(source) : earlier.sourceMetadata(source);
                    if (here.isEmpty()) {
                        SafetensorsWriter.write(target, kept, own);
                    } else {
                        CompressedFile.write(target, here, kept, own, equal);
                    }
                },
                true);
    }

    /** The file of the input that holds a tensor, compressed or not. */
    private Path home(String tensor) {
        return earlier == null ? model.fileOf(tensor) : earlier.fileOf(tensor);
    }
}
