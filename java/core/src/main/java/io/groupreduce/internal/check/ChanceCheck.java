package io.groupreduce.internal.check;

import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * Whether a dense softmax belongs to hidden states and targets, whatever its names say: a uniform guess among N tokens has a
 * cross-entropy of ln N, and one that is worse is that of another matrix, or lacks its bias or the factor of its logits.
 */
public final class ChanceCheck {
    /** A mean differs from what it is compared with by this many of its standard errors, or it may be an accident. */
    private static final double ERRORS = 4;

    /** Of fewer states a standard error says nothing. */
    private static final int FEWEST_JUDGED = 8;

    /** Nats: more than rounding. */
    private static final double LEAST = 0.01;

    /** Products of a hidden state's and a row's numbers that the check before a compression may take. */
    private static final double MOST_WORK = 2e9;

    private static final int FEWEST_STATES = 128;
    private static final int MOST_STATES = 10_000;

    /** What an alternative's cross-entropy has to be below, as a share of the softmax's: a text may be a strange one. */
    private static final double CLEARLY = 0.9;

    /** A trained softmax is far from best at a quarter of its logits; one that lacks its factor is not. */
    private static final double QUARTER = 0.25;

    private static final double HALF = 0.5;

    private ChanceCheck() {}

    /**
     * Another softmax that the targets may be likelier under: then that is the model's.
     *
     * @param factor of all logits but the bias
     * @param bias instead of the softmax's, {@code null} for none
     * @param where half a sentence after "likelier"
     * @param advice the other half
     */
    public record Alternative(double factor, float[] bias, String where, String advice) {}

    /**
     * Judges evenly spaced states, so many that it takes a small part of a compression's time. Shapes fit and numbers are finite.
     *
     * @param softmax with or without targets; without them nothing is known
     * @throws InvalidDataException if the softmax is worse than an alternative, also one at a quarter of the logits, or than chance
     */
    public static void require(
            ComputeBackend backend, Matrix dense, SoftmaxData softmax, List<Alternative> alternatives) {
        if (softmax.targets() == null) {
            return;
        }
        List<Alternative> all = new ArrayList<>(alternatives);
        Alternative quarter = new Alternative(
                QUARTER,
                softmax.bias(),
                "at a quarter of the logits",
                "the model multiplies them by a factor that was not found; keep its config.json beside it");
        all.add(quarter);
        double work = MOST_WORK / (1 + all.size()) / ((double) dense.rows() * dense.columns());
        SoftmaxData some = softmax.spread((int) Math.clamp(work, FEWEST_STATES, MOST_STATES));
        double[] losses = losses(backend, dense, some);
        for (Alternative other : all) {
            Matrix states = some.hidden().times(other.factor);
            double[] its = losses(backend, dense, new SoftmaxData(states, some.targets(), other.bias));
            double[] gains = new double[its.length];
            double[] margins = new double[its.length];
            double share = other == quarter ? HALF : CLEARLY;
            Arrays.setAll(gains, t -> losses[t] * share - its[t]);
            Arrays.setAll(margins, t -> Math.log(dense.rows()) - its[t]);
            if (isAbove(gains, 0) && isAbove(margins, 0)) {
                throw new InvalidDataException(String.format(
                        Locale.ROOT,
                        "%s: its targets are likelier %s of %s (mean cross-entropy %.3f instead of %.3f): %s.",
                        softmax.hidden().name(),
                        other.where,
                        dense.name(),
                        mean(its),
                        mean(losses),
                        other.advice));
            }
        }
        require(dense, softmax.hidden(), losses);
    }

    /**
     * Judges losses that are known.
     *
     * @param losses cross-entropy of each target under the dense softmax, in nats
     * @throws InvalidDataException if their mean is above what a uniform guess has
     */
    public static void require(Matrix dense, Matrix hidden, double[] losses) {
        double chance = Math.log(dense.rows());
        if (isAbove(losses, chance)) {
            throw new InvalidDataException(String.format(
                    Locale.ROOT,
                    "%s guesses the targets of %s worse than chance: mean cross-entropy %.3f over %d states, %.3f for a"
                            + " uniform guess among its %d rows; it is not the output (--output-tensor names that), or its rows"
                            + " have another order, or a bias (--bias) or a factor is missing, or the states are not what"
                            + " meets it, or the targets are not what follows them.",
                    dense.name(),
                    hidden.name(),
                    mean(losses),
                    losses.length,
                    chance,
                    dense.rows()));
        }
    }

    private static boolean isAbove(double[] values, double bound) {
        int n = values.length;
        if (n < FEWEST_JUDGED) {
            return false;
        }
        double mean = mean(values);
        double squares = Arrays.stream(values).map(x -> (x - mean) * (x - mean)).sum();
        double error = Math.sqrt(squares / (n - 1) / n);
        return mean - bound > ERRORS * error + LEAST;
    }

    private static double mean(double[] values) {
        return Arrays.stream(values).sum() / values.length;
    }

    /** Beside a matrix of zeros, which costs nothing. */
    private static double[] losses(ComputeBackend backend, Matrix dense, SoftmaxData softmax) {
        CompressedMatrix zeros = new CompressedMatrix(
                dense.tensor(),
                dense.columns(),
                new byte[dense.rows()],
                List.of(GroupPlan.zero()),
                Collections.singletonList(null),
                List.of());
        TokenScores scores = backend.compare(
                new SoftmaxComparison(dense, softmax.bias(), zeros, null, softmax.hidden(), softmax.targets(), 1));
        double[] losses = new double[softmax.hidden().rows()];
        Arrays.setAll(losses, t -> scores.denseLogSumExp()[t] - scores.denseTargetLogit()[t]);
        return losses;
    }
}
