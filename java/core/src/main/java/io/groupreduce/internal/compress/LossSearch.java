package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.List;
import java.util.function.LongFunction;

/**
 * The smallest size whose mean cross-entropy on held-out hidden states rises by no more than asked. Sizes are halved in the
 * logarithm; every one starts from the same bases.
 */
final class LossSearch {
    /** The search ends when the two sizes around the answer differ by less than this share. */
    private static final double CLOSE = 0.01;

    private static final int MOST_STATES = 10_000;

    private final CompressionWorkspace workspace;
    private final CompressionTask task;
    private final double[] raw;
    private final SoftmaxData judged;
    private final double increase;

    /** {@code raw} weights of the workspace. */
    LossSearch(CompressionWorkspace workspace, CompressionTask task, double[] raw) {
        this.raw = raw;
        this.workspace = workspace;
        this.task = task;
        judged = task.softmax().judged(MOST_STATES);
        increase = task.options().maxLossIncrease().orElseThrow();
    }

    /**
     * The answer.
     *
     * @param bytes the size
     * @param heldOut what was measured there
     */
    record Outcome(long bytes, CompressionSummary.HeldOut heldOut) {}

    /**
     * Searches.
     *
     * @param settings of a size in bytes
     * @throws InvalidDataException if no size the method can write loses so little
     */
    Outcome run(StartingBases start, LongFunction<Alternation.Settings> settings, Progress progress) {
        Matrix matrix = task.matrix();
        // In full: every row dense, with the header and a group number each.
        List<GroupPlan> fewest = List.of(GroupPlan.zero(), GroupPlan.dense(matrix.columns(), Codec.F32));
        Alternation.Settings full = settings.apply(matrix.bytes());
        long high = matrix.bytes() + full.model().fixed(matrix.rows(), fewest) + matrix.rows();
        long low = full.packed() ? full.model().header() : high - matrix.bytes();
        CompressionSummary.HeldOut best = judge(start, settings.apply(high));
        if (!Double.isFinite(best.denseLoss())) {
            throw new InvalidDataException(
                    "The dense " + matrix.name() + " gives the held-out targets a probability of 0, so"
                            + " no loss can be aimed at; check that hidden states, targets and matrix belong together.");
        }
        if (!meets(best)) {
            throw new InvalidDataException("The loss on the held-out hidden states rises by more than " + 100 * increase
                    + " % even where " + matrix.name()
                    + (full.packed() ? " is packed in codes of 8 bits" : " is stored in full")
                    + "; allow more, or give a ratio.");
        }
        int step = 0;
        while (high > low * (1 + CLOSE) + 1) {
            long middle = Math.round(Math.sqrt((double) low * high));
            progress.at("size for the loss, " + middle + " bytes", 0.3 + 0.003 * step++);
            CompressionSummary.HeldOut found = judged(start, settings.apply(middle));
            if (found != null && meets(found)) {
                high = middle;
                best = found;
            } else {
                low = middle;
            }
        }
        return new Outcome(high, best);
    }

    /** {@code null} for a size that there is no room in. */
    private CompressionSummary.HeldOut judged(StartingBases start, Alternation.Settings settings) {
        try {
            return judge(start, settings);
        } catch (UnreachableTargetException e) {
            return null;
        }
    }

    /** As a difference, since the dense loss may be 0. */
    private boolean meets(CompressionSummary.HeldOut found) {
        return found.compressedLoss() - found.denseLoss() <= increase * found.denseLoss();
    }

    private CompressionSummary.HeldOut judge(StartingBases start, Alternation.Settings settings) {
        try (Alternation alternation = new Alternation(workspace, task, settings, raw)) {
            CompressedMatrix small =
                    alternation.stored(alternation.run(start, Progress.NONE).best());
            Evaluation evaluation = SoftmaxEvaluation.of(
                    task.backend(), task.matrix(), judged.bias(), small, judged.hidden(), judged.targets());
            return new CompressionSummary.HeldOut(
                    evaluation.tokens(),
                    evaluation.denseLoss().mean(),
                    evaluation.compressedLoss().mean());
        }
    }
}
