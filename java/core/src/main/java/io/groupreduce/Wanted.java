package io.groupreduce;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import io.groupreduce.internal.check.FactorCheck;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import java.util.Arrays;

/**
 * What is to be loaded, and what hidden states must be like.
 *
 * @param scale what they are multiplied by before they meet the matrix
 * @param largest magnitude of a number of theirs that is taken
 * @param range which tokens the matrix has
 * @param tolerance of log-sum-exps that serve log-probabilities alone, in nats
 */
record Wanted(InferenceProblem problem, float scale, float largest, TokenRange range, double tolerance) {
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
        TokenRange range = range(matrix, options);
        boolean all = range.count() == matrix.rows();
        int end = range.first() + range.count();
        return new Wanted(
                new InferenceProblem(
                        all ? matrix : matrix.part(range.first(), end),
                        all || bias == null ? bias : Arrays.copyOfRange(bias, range.first(), end),
                        given ? 0 : logits.cap(),
                        options.pruning()),
                (float) scale,
                (float) Math.min(largest / scale, Float.MAX_VALUE),
                range,
                options.logSumExpTolerance());
    }

    private static TokenRange range(CompressedMatrix matrix, HeadOptions options) {
        int vocabulary = options.vocabulary().orElse(matrix.rows());
        int first = options.partFirst();
        int end = options.partEnd().orElse(vocabulary);
        if (vocabulary > matrix.rows() || end > vocabulary) {
            throw new InvalidOptionException("A head with tokens " + first + " to " + (end - 1) + " of " + vocabulary
                    + " was asked for, but '" + matrix.name() + "' has only tokens 0 to " + (matrix.rows() - 1) + ".");
        }
        return new TokenRange(first, end - first, vocabulary, options.partEnd().isPresent());
    }
}
