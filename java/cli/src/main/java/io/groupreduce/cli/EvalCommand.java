package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Compares a compressed softmax with the dense one. */
@Command(
        name = "eval",
        description = "Perplexity before and after, KL, agreement and relative error of a compressed file.")
final class EvalCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Parameters(paramLabel = "OUT", description = "A file that 'groupreduce compress' wrote.")
    Path file;

    @Option(names = "--reference", required = true, paramLabel = "INPUT", description = "The model it was made from.")
    Path reference;

    @Option(
            names = "--hidden",
            required = true,
            paramLabel = "FILE",
            description = "Safetensors with hidden [T,D] and optionally targets [T].")
    Path hidden;

    @Option(
            names = "--counts",
            paramLabel = "FILE",
            description = "Weights of the relative error (default: all rows weigh alike).")
    Path counts;

    @Option(names = "--tensor", paramLabel = "NAME", description = "Which matrix (default: the output matrix).")
    String tensor;

    @Override
    public Integer call() {
        try (Backend backend = device.start(common::tell);
                CompressedFile compressed = CompressedFile.open(file);
                Model model = Model.open(reference, compressed.vocabulary());
                HiddenStates states = HiddenStates.open(hidden)) {
            model.notes().forEach(common::tell);
            String name = tensor != null
                    ? tensor
                    : model.outputAmong(compressed.matrices().keySet());
            CompressedMatrix matrix = compressed.require(name);
            Evaluation evaluation = Softmax.evaluate(backend, model, compressed, name, states);
            Matrix dense = model.matrix(name);
            long[] perRow = counts == null ? null : CountsFile.read(counts, dense.rows(), common::tell);
            double error = GroupReduce.relativeError(backend, dense, perRow, 1, matrix);

            common.print(Texts.format(
                    "%s: %s -> %s, %.2f times smaller",
                    name,
                    Figures.bytes(dense.storedBytes()),
                    Figures.bytes(matrix.bytes()),
                    (double) dense.storedBytes() / matrix.bytes()));
            Summary.lines(evaluation).forEach(common::print);
            common.print(
                    Texts.format("%s relative error: %.4f", counts == null ? "unweighted" : "count-weighted", error));
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("file", file.toString());
            document.put("tensor", name);
            document.put("sourceBytes", dense.storedBytes());
            document.put("bytes", matrix.bytes());
            document.put("ratio", (double) dense.storedBytes() / matrix.bytes());
            document.put("weightedByCounts", counts != null);
            document.put("relativeError", error);
            document.putAll(Summary.document(evaluation));
            common.printJson(document);
        }
        return 0;
    }
}
