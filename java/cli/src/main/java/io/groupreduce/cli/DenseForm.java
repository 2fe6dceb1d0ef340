package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.DenseExport;
import io.groupreduce.format.OutputFile;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;

/** A plain safetensors model. */
final class DenseForm implements ExportForm {
    @Override
    public void check(ExportCommand command) {
        if (command.model != null || command.externalData || command.hidden != null) {
            throw new InvalidOptionException(
                    "--model, --hidden and --external-data belong to --to onnx; a dense model is written"
                            + " from the compressed file alone.");
        }
    }

    @Override
    public Map<String, Object> write(CompressedFile compressed, ExportCommand command) throws IOException {
        try (OutputFile claimed = OutputFile.claim(command.output, List.of(command.file), command.force)) {
            claimed.requireRoom(DenseExport.bytesNeeded(compressed));
            DenseExport.write(compressed, claimed.path());
        }
        long bytes = Files.size(command.output);
        command.common.print(command.output + ": " + Figures.bytes(bytes));
        return Map.of("bytes", bytes);
    }
}
