package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.CompressedMatrix;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Shows what a file holds. */
@Command(name = "inspect", description = "Shows tensors, groups, ranks, bits and bytes of a file.")
final class InspectCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Parameters(
            paramLabel = "FILE",
            description = "A compressed file, a .safetensors file, a model directory or a .npy file.")
    Path file;

    @Override
    public Integer call() {
        if (compressed()) {
            try (CompressedFile opened = CompressedFile.open(file)) {
                show(opened);
            }
        } else {
            try (Model model = Model.open(file)) {
                model.notes().forEach(common::tell);
                List<Map<String, Object>> tensors = plain(model.tensors());
                common.printJson(Map.of("file", file.toString(), "tensors", tensors));
            }
        }
        return 0;
    }

    private boolean compressed() {
        if (Files.isDirectory(file)) {
            return false;
        }
        try (Model opened = Model.open(file)) {
            return opened.metadata().containsKey(CompressedFile.METADATA_KEY);
        }
    }

    private void show(CompressedFile opened) {
        List<Map<String, Object>> matrices = new ArrayList<>();
        for (CompressedMatrix matrix : opened.matrices().values()) {
            Summary.Source source = Summary.Source.of(opened.provenance(matrix.name()), matrix);
            matrices.add(Summary.document(matrix, source));
            Summary.lines(matrix, source).forEach(common::print);
            common.print("");
        }
        opened.tied().forEach((name, stored) -> common.print(name + " is the same matrix as " + stored));
        List<Map<String, Object>> copied = plain(opened.copied());
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("file", file.toString());
        document.put("compressed", matrices);
        document.put("tied", opened.tied());
        document.put("copied", copied);
        common.printJson(document);
    }

    private List<Map<String, Object>> plain(Map<String, Tensor> tensors) {
        List<Map<String, Object>> documents = new ArrayList<>();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("tensor", "type", "shape", "bytes"));
        for (Tensor tensor : tensors.values()) {
            rows.add(List.of(
                    tensor.name(),
                    tensor.type().name(),
                    Arrays.toString(tensor.shape()),
                    Figures.bytes(tensor.bytes())));
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("name", tensor.name());
            document.put("dtype", tensor.type().name());
            document.put("shape", tensor.shape());
            document.put("bytes", tensor.bytes());
            documents.add(document);
        }
        if (!documents.isEmpty()) {
            Texts.table(rows).forEach(common::print);
        }
        return documents;
    }
}
