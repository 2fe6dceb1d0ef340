package io.groupreduce.cli;

import io.groupreduce.format.CompressedFile;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Turns a compressed file into a model that other software runs. */
@Command(
        name = "export",
        description =
                "Writes a compressed file as a model that other software runs: dense for any, or ONNX at its small size.")
final class ExportCommand implements Callable<Integer> {
    /** What can be written. */
    enum Form {
        DENSE(new DenseForm()),
        ONNX(new OnnxForm());

        private final ExportForm writer;

        Form(ExportForm writer) {
            this.writer = writer;
        }
    }

    @Mixin
    CommonOptions common;

    @Parameters(paramLabel = "OUT", description = "A file that 'groupreduce compress' wrote.")
    Path file;

    @Option(
            names = "--to",
            paramLabel = "FORM",
            required = true,
            description =
                    "dense: a plain safetensors model; onnx: the model of --model with the compressed matrices in it.")
    Form form;

    @Option(
            names = "--model",
            paramLabel = "MODEL.onnx",
            description = "onnx: the model that was compressed, or another one with the same vocabulary matrices.")
    Path model;

    @Option(
            names = "--hidden",
            paramLabel = "FILE",
            description =
                    "onnx: hidden states that the exported output layer is judged on, safetensors with hidden [T,D].")
    Path hidden;

    @Option(
            names = "--external-data",
            description = "onnx: write the larger numbers to FILE.data, which a runtime maps; needed above 2 GB.")
    boolean externalData;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "The file to write.")
    Path output;

    @Option(names = "--force", description = "Replace an existing output file.")
    boolean force;

    @Override
    public Integer call() throws Exception {
        form.writer.check(this);
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("input", file.toString());
        document.put("output", output.toString());
        try (CompressedFile compressed = CompressedFile.open(file)) {
            document.putAll(form.writer.write(compressed, this));
        }
        common.printJson(document);
        return 0;
    }
}
