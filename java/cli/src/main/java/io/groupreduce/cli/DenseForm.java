package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.DenseExport;
import io.groupreduce.format.Model;
import io.groupreduce.format.ModelFolder;
import io.groupreduce.format.OutputFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
        command.gguf.requireNone();
    }

    @Override
    public Map<String, Object> write(ExportCommand command) throws IOException {
        long bytes = 0;
        try (CompressedFile compressed = CompressedFile.open(command.file)) {
            if (ModelFolder.isWanted(command.file, command.output)) {
                try (OutputFile claimed =
                        OutputFile.claimDirectory(command.output, command.file, compressed.files(), command.force)) {
                    claimed.requireRoom((double) DenseExport.bytesNeeded(compressed)
                            + ModelFolder.of(command.file).copiedBytes());
                    DenseExport.writeDirectory(compressed, claimed);
                }
            } else {
                try (OutputFile claimed = OutputFile.claim(command.output, compressed.files(), command.force)) {
                    claimed.requireRoom(DenseExport.bytesNeeded(compressed));
                    DenseExport.write(compressed, claimed.path());
                }
            }
        }
        try (Model written = Model.open(command.output)) {
            for (Path file : written.files()) {
                bytes += Files.size(file);
            }
        }
        command.common.print(command.output + ": " + Figures.bytes(bytes));
        return Map.of("bytes", bytes);
    }
}
