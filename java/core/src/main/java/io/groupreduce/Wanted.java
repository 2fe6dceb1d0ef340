package io.groupreduce;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import io.groupreduce.internal.check.FactorCheck;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;

/**
 * What is to be loaded, and what hidden states must be like.
 *
 * @param scale what they are multiplied by before they meet the matrix
 * @param cap what the model caps its logits at, 0 for nothing
 * @param largest magnitude of a number of theirs that is taken
 */
record Wanted(InferenceProblem problem, float scale, double cap, float largest) {
    /** The output matrix of a file, with the logits that the file describes. */
    static Wanted of(CompressedFile file, HeadOptions options) {
        CompressedMatrix matrix = LoadedMatrix.choose(file, options, file::outputMatrix);
        Logits logits = file.logits(matrix.name());
        if (logits.unknown() != null && options.logitScale().isEmpty()) {
            throw new InvalidDataException(file.path() + ": the logits of '" + matrix.name() + "' cannot be computed: "
                    + logits.unknown() + "; if a factor is all, HeadOptions.withLogitScale takes it.");
        }
        return of(matrix, file.softmaxBias(matrix.name()).orElse(null), logits, options);
    }

    /** A matrix whose model has a bias, or {@code null}; options come first. */
    static Wanted of(CompressedMatrix matrix, float[] model, Logits logits, HeadOptions options) {
        float[] bias = options.bias().orElse(model);
        float largest = FactorCheck.requireFinite(matrix, bias);
        boolean given = options.logitScale().isPresent();
        double scale = given ? options.logitScale().getAsDouble() : logits.scale();
        return new Wanted(
                new InferenceProblem(matrix, bias, options.pruning(), options.logSumExpTolerance()),
                (float) scale,
                given ? 0 : logits.cap(),
                (float) Math.min(largest / scale, Float.MAX_VALUE));
    }
}
