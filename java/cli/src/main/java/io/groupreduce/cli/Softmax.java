package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Evaluation;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;

/** What the compression cost the matrix that hidden states meet. */
final class Softmax {
    private Softmax() {}

    /**
     * Perplexity, KL and agreement of one compressed matrix on hidden states, both sides with the model's factor and bias, unless the
     * compressed one has a bias of its own.
     */
    static Evaluation evaluate(
            Backend backend, Model model, CompressedFile compressed, String tensor, HiddenStates states) {
        return GroupReduce.evaluate(backend, model, tensor, compressed.require(tensor), model.softmax(tensor, states));
    }
}
