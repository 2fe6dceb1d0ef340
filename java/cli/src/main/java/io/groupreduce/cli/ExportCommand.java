package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.DenseExport;
import io.groupreduce.format.OutputFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Turns a compressed file back into an ordinary model. */
@Command(name = "export", description = "Writes a compressed file as an ordinary model that any framework loads.")
final class ExportCommand implements Callable<Integer> {
    /** What can be written. */
    enum Form {
        DENSE
    }

    @Mixin
    CommonOptions common;

    @Parameters(paramLabel = "OUT", description = "A file that 'groupreduce compress' wrote.")
    Path file;

    @Option(names = "--to", paramLabel = "FORM", required = true, description = "dense: a plain safetensors model.")
    Form form;

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
        try (CompressedFile compressed = CompressedFile.open(file);
                OutputFile claimed = OutputFile.claim(output, List.of(file), force)) {
            claimed.requireRoom(DenseExport.bytesNeeded(compressed));
            DenseExport.write(compressed, claimed.path());
        }
        common.print(output + ": " + Figures.bytes(Files.size(output)));
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("input", file.toString());
        document.put("output", output.toString());
        document.put("bytes", Files.size(output));
        common.printJson(document);
        return 0;
    }
}
