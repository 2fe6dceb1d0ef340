package io.groupreduce.compress;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.Evaluation;
import io.groupreduce.InvalidDataException;
import io.groupreduce.Matrix;
import io.groupreduce.Progress;
import io.groupreduce.SoftmaxData;
import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CompressionWorkspace;
import java.lang.foreign.Arena;

/**
 * The smallest size whose mean cross-entropy on held-out hidden states rises by no more than asked. Sizes are halved in the
 * logarithm; every one starts from the same bases.
 */
final class LossSearch {
    /** The search ends when the two sizes around the answer differ by less than this share. */
    private static final double CLOSE = 0.01;

    private static final int MOST_STATES = 10_000;

    private final Backend backend;
    private final Matrix matrix;
    private final SoftmaxData judged;
    private final double increase;

    /** {@code increase} is 0.01 for one percent. */
    LossSearch(Backend backend, Matrix matrix, SoftmaxData softmax, double increase) {
        this.backend = backend;
        this.matrix = matrix;
        judged = softmax.judged(MOST_STATES);
        this.increase = increase;
    }

    /**
     * The size, in the unit of the settings.
     *
     * @throws InvalidDataException if no size the method can write loses so little
     */
    double budget(
            CompressionWorkspace workspace,
            StartingBases start,
            Metric metric,
            RateDistortion.Settings settings,
            Progress progress) {
        double high = matrix.bytes();
        double low = 2.0 * matrix.rows();
        if (!meets(workspace, start, metric, settings.withBudget(high))) {
            throw new InvalidDataException("The loss on the held-out hidden states rises by more than " + 100 * increase
                    + " % even where " + matrix.name() + " is stored in full; allow more, or give a ratio.");
        }
        int step = 0;
        while (high / low > 1 + CLOSE) {
            double middle = Math.sqrt(low * high);
            progress.at("size for the loss, " + (long) middle + " bytes", 0.3 + 0.003 * step++);
            if (meets(workspace, start, metric, settings.withBudget(middle))) {
                high = middle;
            } else {
                low = middle;
            }
        }
        return high;
    }

    private boolean meets(
            CompressionWorkspace workspace, StartingBases start, Metric metric, RateDistortion.Settings settings) {
        try (RateDistortion method = new RateDistortion(workspace, matrix, metric, settings);
                Arena arena = Arena.ofShared()) {
            CompressedMatrix small =
                    method.store(method.run(start, Progress.NONE).best(), arena);
            Evaluation evaluation =
                    Evaluation.of(backend, matrix, judged.bias(), small, judged.hidden(), judged.targets());
            double dense = Math.log(evaluation.densePerplexity());
            return Math.log(evaluation.compressedPerplexity()) - dense <= increase * dense;
        }
    }
}
