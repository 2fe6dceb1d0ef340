package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The paper's refinement: in each round the tenth of the rows whose weighted error would fall most move to the group where it
 * is least, then bases and ranks are renewed for the same size. The error need not fall every round, since ranks change with
 * the groups, so the best state seen is kept.
 */
final class Refinement {
    /** A gain below this share of the whole loss is rounding, not a reason to move. */
    private static final double NEGLIGIBLE_GAIN = 1e-12;

    /** A state must be better by this share to replace the best one, so that rounding does not decide. */
    private static final double IMPROVEMENT = 1e-9;

    private Refinement() {}

    /**
     * What a refinement did.
     *
     * @param best the state with the least loss
     * @param losses the loss of every state seen, the first one before any move
     */
    record Outcome(Grouping best, List<Double> losses) {}

    static Outcome run(
            CompressionWorkspace workspace,
            Grouping start,
            double[] rawWeights,
            Grouping.RankRule rule,
            int rounds,
            Progress progress) {
        Grouping state = start;
        Grouping best = null;
        double least = 0;
        List<Double> losses = new ArrayList<>();
        for (int round = 0; ; round++) {
            progress.at(round == 0 ? "first bases" : "refinement, round " + round, round / (rounds + 1.0));
            double loss = state.loss(state.decompose(workspace));
            losses.add(loss);
            if (best == null || loss < least * (1 - IMPROVEMENT)) {
                best = state;
                least = loss;
            }
            if (round == rounds) {
                break;
            }
            byte[] moved = move(workspace, state, NEGLIGIBLE_GAIN * loss);
            if (moved == null) {
                break;
            }
            try {
                state = Grouping.of(moved, state.groups(), rawWeights, rule);
            } catch (UnreachableTargetException e) {
                // The groups grew so that not even one direction fits any more: what was found so far stays.
                break;
            }
        }
        return new Outcome(best, losses);
    }

    /** The grouping after the best moves, or {@code null} when no row gains. */
    private static byte[] move(CompressionWorkspace workspace, Grouping state, double threshold) {
        int rows = state.groupOf().length;
        byte[] target = new byte[rows];
        float[] gain = new float[rows];
        workspace.assign(state.candidates(), state.groupOf(), target, gain);

        // One sort of packed keys: largest gain first, ties to the lower row. Gains are positive, so their bits sort as
        // they do.
        long[] keys = new long[rows];
        int found = 0;
        for (int i = 0; i < rows; i++) {
            if (gain[i] > threshold) {
                keys[found++] = (long) (Integer.MAX_VALUE - Float.floatToRawIntBits(gain[i])) << 32 | i;
            }
        }
        if (found == 0) {
            return null;
        }
        Arrays.sort(keys, 0, found);
        byte[] moved = state.groupOf().clone();
        int most = (int) (CompressionOptions.MOVE_FRACTION * rows);
        for (int k = 0; k < Math.min(found, most); k++) {
            int row = (int) keys[k];
            moved[row] = target[row];
        }
        return moved;
    }
}
