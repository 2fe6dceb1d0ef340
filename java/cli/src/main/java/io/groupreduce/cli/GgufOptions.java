package io.groupreduce.cli;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.models.gguf.GgufExport;
import io.groupreduce.models.gguf.GgufType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What a GGUF model is rounded to, and what for. */
final class GgufOptions {
    private static final String ANY = "auto";

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            split = ",",
            description =
                    "gguf: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K or IQ4_NL; of several the one that loses least;"
                            + " auto: the one that loses least in no more bytes (default: what the model's own tensors have).")
    List<String> types = List.of();

    @Option(
            names = "--metric",
            paramLabel = "TENSOR=FILE",
            description =
                    "gguf: safetensors with metric [D,D], the second moment of what meets a tensor of the model; may"
                            + " be repeated.")
    Map<String, Path> metrics = Map.of();

    @Option(names = "--threads", paramLabel = "T", description = "gguf: worker threads (default: one a processor).")
    Integer threads;

    @Mixin
    VocabularyOptions vocabulary;

    /** Refuses them where another form is written. */
    void requireNone() {
        if (!types.isEmpty()
                || !metrics.isEmpty()
                || threads != null
                || !vocabulary.choice().equals(VocabularyChoice.NONE)) {
            throw new InvalidOptionException("--type, --metric, --threads, --output-tensor, --input-tensor and --bias"
                    + " belong to --to gguf; leave them out.");
        }
    }

    /** Rounds and writes, and says what became of each tensor. */
    List<Map<String, Object>> export(ExportCommand command) {
        boolean any = types.size() == 1 && types.get(0).equalsIgnoreCase(ANY);
        int workers = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
        if (workers < 1 || workers > 4096) {
            throw new InvalidOptionException("--threads is " + workers + "; it must lie between 1 and 4096.");
        }
        GgufExport.Job job = new GgufExport.Job(
                command.file,
                command.model == null ? command.file : command.model,
                command.output,
                any ? List.of() : types.stream().map(GgufOptions::type).toList(),
                any,
                command.hidden,
                metrics,
                vocabulary.choice(),
                command.force);
        List<String> messages = new ArrayList<>();
        List<GgufExport.Rounded> rounded;
        try (Bar bar = Bar.start("export", !command.common.json)) {
            rounded = GgufExport.run(job, workers, bar, messages::add);
        } finally {
            messages.forEach(command.common::tell);
        }
        return rounded.stream().map(tensor -> show(tensor, command.common)).toList();
    }

    private static GgufType type(String name) {
        return GgufExport.TYPES.stream()
                .filter(type -> type.name().equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(() -> new InvalidOptionException("--type " + name + " is not known; give one of "
                        + GgufExport.TYPES.toString().replaceAll("[\\[\\]]", "") + ", or auto."));
    }

    private static Map<String, Object> show(GgufExport.Rounded tensor, CommonOptions common) {
        common.print(Texts.format(
                "%s: %s (%s) -> %s (%s), relative error %.4f%s",
                tensor.tensor(),
                tensor.before(),
                Figures.bytes(tensor.bytesBefore()),
                tensor.type(),
                Figures.bytes(tensor.bytes()),
                tensor.error(),
                Double.isNaN(tensor.metricError())
                        ? ""
                        : Texts.format(", where it is met %.4f", tensor.metricError())));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("tensor", tensor.tensor());
        document.put("typeBefore", tensor.before().name());
        document.put("type", tensor.type().name());
        document.put("bytesBefore", tensor.bytesBefore());
        document.put("bytes", tensor.bytes());
        document.put("relativeError", tensor.error());
        document.put("metricError", Double.isNaN(tensor.metricError()) ? null : tensor.metricError());
        return document;
    }
}
