package io.groupreduce.cli;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.Evaluation;
import io.groupreduce.InvalidDataException;
import io.groupreduce.Matrix;
import io.groupreduce.backend.Backend;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.Tensor;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Finds the matrix that hidden states meet, its bias, and what the compression cost there. */
final class Softmax {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";
    private static final List<String> OUTPUTS = List.of("lm_head.", "softmax.", "decoder.", "embed_out.");

    private Softmax() {}

    /**
     * Of these tensors the one that turns hidden states into logits.
     *
     * @throws InvalidDataException if none does
     */
    static String outputAmong(Collection<String> tensors, Model model) {
        List<String> outputs = tensors.stream().filter(model::servesAsOutput).toList();
        if (outputs.isEmpty()) {
            throw new InvalidDataException("None of " + String.join(", ", tensors) + " in " + model.path()
                    + " is an output matrix, so hidden states cannot judge it; name one with --tensor.");
        }
        return outputs.get(0);
    }

    /**
     * The bias of the softmax of a matrix: {@code X.bias} to {@code X.weight}, or for an embedding that is the output as well
     * the bias of one of the usual output names; {@code null} if there is none.
     */
    static float[] bias(Model model, String tensor) {
        List<String> names = new ArrayList<>();
        if (tensor.endsWith(WEIGHT)) {
            names.add(tensor.substring(0, tensor.length() - WEIGHT.length()) + BIAS);
        }
        if (model.role(tensor) == Model.Role.EMBEDDING) {
            for (String name : model.tensors().keySet()) {
                if (OUTPUTS.stream().anyMatch(stem -> name.equals(stem + BIAS) || name.endsWith("." + stem + BIAS))) {
                    names.add(name);
                }
            }
        }
        long rows = model.require(tensor).shape()[0];
        for (String name : names) {
            Tensor bias = model.tensors().get(name);
            if (bias != null
                    && bias.shape().length == 1
                    && bias.shape()[0] == rows
                    && bias.type().compressible()) {
                return bias.floats();
            }
        }
        return null;
    }

    /** Perplexity, KL and agreement of one compressed matrix on hidden states. */
    static Evaluation evaluate(
            Backend backend, Model model, CompressedFile compressed, String tensor, HiddenStates states) {
        Matrix dense = model.require(tensor).matrix(model.fileOf(tensor).toString());
        CompressedMatrix matrix = compressed.require(tensor);
        states.require(dense.columns(), dense.rows());
        return Evaluation.of(backend, dense, bias(model, tensor), matrix, states.hidden(), states.targets());
    }
}
