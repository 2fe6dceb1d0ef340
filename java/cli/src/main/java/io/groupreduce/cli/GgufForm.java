package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A GGUF model with its embedding and its output rounded anew. */
final class GgufForm implements ExportForm {
    @Override
    public void check(ExportCommand command) {
        if (command.externalData) {
            throw new InvalidOptionException("--external-data belongs to --to onnx; leave it out.");
        }
        if (command.model == null
                && !command.file.toString().toLowerCase(Locale.ROOT).endsWith(".gguf")) {
            throw new InvalidOptionException(
                    "--to gguf needs --model MODEL.gguf: all but the embedding and the output comes" + " from there.");
        }
        SafetensorsWriter.requireName(command.output, "gguf");
    }

    @Override
    public Map<String, Object> write(ExportCommand command) throws IOException {
        List<Map<String, Object>> tensors = command.gguf.export(command);
        long bytes = Files.size(command.output);
        command.common.print(command.output + ": " + Figures.bytes(bytes));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("bytes", bytes);
        document.put("tensors", tensors);
        return document;
    }
}
