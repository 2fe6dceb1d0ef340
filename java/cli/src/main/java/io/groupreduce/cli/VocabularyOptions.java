package io.groupreduce.cli;

import io.groupreduce.api.VocabularyChoice;
import picocli.CommandLine.Option;

/** What a user says of a model's vocabulary matrices, in place of what the finder tells. */
final class VocabularyOptions {
    @Option(
            names = "--output-tensor",
            paramLabel = "NAME",
            description = "The matrix that hidden states meet (default: found by names and config.json).")
    String output;

    @Option(names = "--input-tensor", paramLabel = "NAME", description = "The embedding (default: found likewise).")
    String input;

    @Option(
            names = "--bias",
            paramLabel = "NAME",
            description = "What is added to the logits (default: found likewise).")
    String bias;

    VocabularyChoice choice() {
        return new VocabularyChoice(output, input, bias);
    }
}
