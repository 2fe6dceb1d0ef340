package io.groupreduce.internal.compress;

import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;

/**
 * The exponent of the weights that loses least on the hidden states a compression is fitted to: the mean KL to the dense
 * softmax after a first round, measured for one exponent after the other while it falls. How much more a frequent word
 * matters depends on the text: measured best are 0.5 on newspaper text with a cut vocabulary and 0.8 to 1 on a vocabulary
 * with a long tail.
 */
final class AlphaSearch {
    private static final double[] EXPONENTS = {0.25, 0.35, 0.5, 0.65, 0.8, 1};
    private static final int FIRST = 2;

    /** Products of a hidden state's and a row's numbers that one measurement may take. */
    private static final double MOST_WORK = 1e11;

    private static final int FEWEST_STATES = 64;
    private static final int MOST_STATES = 2048;

    private final CompressionTask task;
    private final SoftmaxData sample;
    private final Alternation.Settings settings;
    private final StartingBases start;
    private int measured;

    AlphaSearch(CompressionTask task, SoftmaxData fitted, Alternation.Settings settings, StartingBases start) {
        this.task = task;
        this.start = start;
        Matrix matrix = task.matrix();
        double affordable = MOST_WORK / ((double) matrix.rows() * matrix.columns());
        sample = fitted.first((int) Math.clamp(affordable, FEWEST_STATES, MOST_STATES));
        this.settings = settings.withRounds(0);
    }

    /** The best of {@link #EXPONENTS}, by descent from 0.5. */
    double best(Progress progress) {
        double[] loss = new double[EXPONENTS.length];
        int at = FIRST;
        loss[at] = measure(at, progress);
        for (int direction : new int[] {1, -1}) {
            int next = at + direction;
            while (next >= 0 && next < loss.length) {
                loss[next] = measure(next, progress);
                if (loss[next] >= loss[at]) {
                    break;
                }
                at = next;
                next += direction;
            }
            if (at != FIRST) {
                break;
            }
        }
        return EXPONENTS[at];
    }

    private double measure(int index, Progress progress) {
        double alpha = EXPONENTS[index];
        progress.at("weights, exponent " + alpha, 0.04 * ++measured);
        double[] raw = Weights.raw(task.counts(), alpha);
        try (CompressionWorkspace workspace = task.open(raw);
                Alternation alternation = new Alternation(workspace, task, settings, raw)) {
            task.energy(workspace);
            CompressedMatrix small =
                    alternation.stored(alternation.run(start, Progress.NONE).best());
            return SoftmaxEvaluation.of(task.backend(), task.matrix(), sample.bias(), small, sample.hidden(), null)
                    .kl()
                    .mean();
        } catch (UnreachableTargetException e) {
            // The share of a sample may be too small for what the whole size has room for.
            return Double.POSITIVE_INFINITY;
        }
    }
}
