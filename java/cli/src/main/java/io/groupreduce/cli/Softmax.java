package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Evaluation;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.spi.Backend;
import java.util.Collection;
import java.util.List;

/** Finds the matrix that hidden states meet, and what the compression cost there. */
final class Softmax {
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
     * Perplexity, KL and agreement of one compressed matrix on hidden states, both sides with the model's factor and bias, unless the
     * compressed one has a bias of its own.
     */
    static Evaluation evaluate(
            Backend backend, Model model, CompressedFile compressed, String tensor, HiddenStates states) {
        return GroupReduce.evaluate(backend, model, tensor, compressed.require(tensor), states);
    }
}
