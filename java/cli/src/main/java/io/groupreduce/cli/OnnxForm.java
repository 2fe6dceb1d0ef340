package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.models.export.OnnxExport;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The ONNX model that the matrices came from, with the compressed ones in their places. */
final class OnnxForm implements ExportForm {
    @Override
    public void check(ExportCommand command) {
        if (command.model == null) {
            throw new InvalidOptionException("--to onnx needs --model MODEL.onnx: the compressed file has the matrices"
                    + " alone, and the rest of the model comes from there.");
        }
        command.gguf.requireNone();
        SafetensorsWriter.requireName(command.output, "onnx");
    }

    @Override
    public Map<String, Object> write(ExportCommand command) {
        Path data = command.externalData ? command.output.resolveSibling(command.output.getFileName() + ".data") : null;
        try (CompressedFile compressed = CompressedFile.open(command.file);
                HiddenStates states = command.hidden == null ? null : HiddenStates.open(command.hidden);
                OnnxExport export =
                        new OnnxExport(compressed, command.model, states == null ? null : states.hidden())) {
            List<Path> read = new ArrayList<>(export.files());
            read.add(command.file);
            if (command.hidden != null) {
                read.add(command.hidden);
            }
            try (OutputFile claimed = OutputFile.claim(command.output, read, command.force);
                    OutputFile beside = data == null ? null : OutputFile.claim(data, read, command.force)) {
                return told(export.write(claimed.path(), beside == null ? null : beside.path()), command);
            }
        }
    }

    private static String run(OnnxExport.Placed placed) {
        String count = Figures.count(placed.counted());
        if (placed.role() == Model.Role.EMBEDDING) {
            return count + " rows run";
        }
        return Double.isNaN(placed.divergence())
                ? count + " random states run; --hidden FILE measures it on real ones"
                : count + " states run: KL " + String.format(Locale.ROOT, "%.5f", placed.divergence())
                        + " nats, most likely token the same: " + Figures.percent(placed.sameToken());
    }

    private static Map<String, Object> told(OnnxExport.Result result, ExportCommand command) {
        command.common.print(
                command.output + ": " + Figures.bytes(result.bytesBefore()) + " -> " + Figures.bytes(result.bytes()));
        List<Map<String, Object>> matrices = new ArrayList<>();
        for (OnnxExport.Placed placed : result.matrices()) {
            command.common.print("  " + placed.tensor() + ": " + Figures.bytes(placed.bytesBefore()) + " -> "
                    + Figures.bytes(placed.bytes()) + " as " + placed.form() + " ("
                    + Figures.bytes(placed.bytesCompressed()) + " in " + command.file.getFileName() + "), error "
                    + Figures.percent(placed.error()) + ", of which the export added "
                    + String.format(Locale.ROOT, "%.1e", placed.added()) + "; " + run(placed));
            Map<String, Object> matrix = new LinkedHashMap<>();
            matrix.put("matrix", placed.matrix());
            matrix.put("tensor", placed.tensor());
            matrix.put("form", placed.form());
            matrix.put("bytesBefore", placed.bytesBefore());
            matrix.put("bytesCompressed", placed.bytesCompressed());
            matrix.put("bytes", placed.bytes());
            matrix.put("relativeError", placed.error());
            matrix.put("addedError", placed.added());
            boolean isOutput = placed.role() == Model.Role.OUTPUT;
            matrix.put(isOutput ? "statesChecked" : "rowsChecked", placed.counted());
            if (isOutput && command.hidden != null) {
                matrix.put("kl", placed.divergence());
                matrix.put("sameToken", placed.sameToken());
            }
            matrices.add(matrix);
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("model", command.model.toString());
        document.put("bytesBefore", result.bytesBefore());
        document.put("bytes", result.bytes());
        document.put("matrices", matrices);
        return document;
    }
}
