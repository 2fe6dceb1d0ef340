package io.groupreduce.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a model that other software runs. */
@Command(
        name = "export",
        description =
                "Writes a model that other software runs: dense for any, ONNX at its small size, or GGUF that loses less in"
                        + " the same bytes.")
final class ExportCommand implements Callable<Integer> {
    /** What can be written. */
    enum Form {
        DENSE(new DenseForm()),
        ONNX(new OnnxForm()),
        GGUF(new GgufForm());

        private final ExportForm writer;

        Form(ExportForm writer) {
            this.writer = writer;
        }
    }

    @Mixin
    CommonOptions common;

    @Parameters(
            paramLabel = "OUT",
            description =
                    "What 'groupreduce compress' wrote, a file or a directory; for gguf a model of any format that is read.")
    Path file;

    @Option(
            names = "--to",
            paramLabel = "FORM",
            required = true,
            description =
                    "dense: a plain safetensors model; onnx: the model of --model with the compressed matrices in it;"
                            + " gguf: the model of --model with its embedding and output rounded anew.")
    Form form;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            description =
                    "onnx: the model that was compressed, or another one with the same vocabulary matrices; gguf: the"
                            + " GGUF model that all else comes from (default: OUT).")
    Path model;

    @Option(
            names = "--hidden",
            paramLabel = "FILE",
            description =
                    "safetensors with hidden [T,D], what meets the output matrix. onnx: states that the exported output layer"
                            + " is judged on; gguf: errors are made small where they are.")
    Path hidden;

    @Option(
            names = "--external-data",
            description = "onnx: write the larger numbers to FILE.data, which a runtime maps; needed above 2 GB.")
    boolean externalData;

    @Mixin
    GgufOptions gguf;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "The file to write; dense, of a directory: a directory, unless it is named .safetensors.")
    Path output;

    @Option(names = "--force", description = "Replace an existing output file.")
    boolean force;

    @Override
    public Integer call() throws Exception {
        form.writer.check(this);
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("input", file.toString());
        document.put("output", output.toString());
        document.putAll(form.writer.write(this));
        common.printJson(document);
        return 0;
    }
}
