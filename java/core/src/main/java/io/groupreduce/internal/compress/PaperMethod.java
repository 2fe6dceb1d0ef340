package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.internal.rows.LargestRows;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.HeaderShare;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code groupreduce}: Chen, Si, Li, Chelba, Hsieh, "GroupReduce: Block-Wise Low-Rank Approximation for Neural Language Model
 * Shrinking", NeurIPS 2018. Its five steps:
 *
 * <ol>
 *   <li>weights: a row counts as often as its token occurs, {@link Weights};
 *   <li>groups: tokens in order of frequency, cut into groups of equal count mass, {@link EqualMassGroups};
 *   <li>ranks: in proportion to a group's mean count, for the size asked for, {@link RankAllocation};
 *   <li>bases: the leading eigenvectors of each group's weighted Gram matrix, {@link Grouping#decompose};
 *   <li>refinement: rows move to the group where their weighted error is least, and ranks and bases are renewed, {@link #refine}.
 * </ol>
 *
 * <p>The best state is stored, {@link Grouping#store}.
 */
final class PaperMethod implements CompressionMethod {
    static final int GROUPS = 5;

    private static final int ROUNDS = 10;

    /** A gain below this share of the whole loss is rounding, not a reason to move. */
    private static final double NEGLIGIBLE_GAIN = 1e-12;

    /** A state must be better by this share to replace the best one, so that rounding does not decide. */
    private static final double IMPROVEMENT = 1e-9;

    private final CompressionTask task;
    private final SizeModel model;
    private final double[] raw;

    PaperMethod(CompressionTask asked) {
        CompressionOptions options = withCodecs(asked);
        task = asked.withOptions(options.withAlpha(options.alpha().orElse(1))
                .withGroups(options.groups().orElse(GROUPS))
                .withRefineRounds(options.refineRounds().orElse(ROUNDS)));
        model = model(task);
        raw = Weights.raw(task.counts(), task.options().alpha().orElseThrow());
    }

    /**
     * The codecs of the paper's methods. Left open it is INT8, which loses next to nothing and leaves room for more directions
     * than wider numbers; where numbers and not their bits are counted it is the source's own precision. A right factor is never
     * coarser than INT8.
     */
    static CompressionOptions withCodecs(CompressionTask task) {
        CompressionOptions options = task.options();
        Codec open = options.target().unit() == SizeUnit.BYTES
                ? Codec.INT8
                : task.matrix().type() == DType.F32 ? Codec.F32 : Codec.BF16;
        Codec left = options.codec().orElse(open);
        boolean coarse = left.bits() < Codec.INT8.bits();
        return options.withCodec(left).withRightCodec(options.rightCodec().orElse(coarse ? Codec.INT8 : left));
    }

    /** What plans cost with settled codecs. */
    static SizeModel model(CompressionTask task) {
        CompressionOptions options = task.options();
        return new SizeModel(
                task.matrix().name(),
                options.target().unit(),
                task.matrix().columns(),
                HeaderShare.fixed(task.matrix().tensor()),
                options.rightCodec().orElseThrow(),
                ScaleScheme.PLAIN);
    }

    /** The first groups and their ranks. */
    private Grouping start() {
        return ranked(EqualMassGroups.of(task.counts(), task.options().groups().orElseThrow()));
    }

    /** Groups with the ranks that fill the size. */
    Grouping ranked(byte[] groupOf) {
        CompressionOptions options = task.options();
        return Grouping.of(groupOf, options.groups().orElseThrow(), raw, (sizes, means) -> new RankAllocation(
                        model, options.codec().orElseThrow(), sizes, means)
                .proportional(task.factorBudget(), options.minRank()));
    }

    @Override
    public void requireReachable() {
        start();
    }

    @Override
    public CompressionResult run(Arena arena, Progress progress) {
        // Before the data is touched, so that an impossible target fails at once.
        Grouping start = start();
        progress.at("reading " + task.matrix().name(), 0);
        try (CompressionWorkspace workspace = task.open(raw)) {
            double energy = task.energy(workspace);
            List<Double> losses = new ArrayList<>();
            State best = refine(workspace, start, losses, progress);
            progress.at("factors", 0.85);
            CompressionResult result =
                    best.grouping.store(workspace, best.spectra, best.bases, task, model, energy, losses, arena);
            progress.at("done", 1);
            return result;
        }
    }

    /** A state and what was found for it, which the workspace forgets with the next one. */
    private record State(Grouping grouping, List<Spectrum> spectra, List<Directions> bases) {}

    /**
     * In each round the tenth of the rows whose weighted error would fall most move to the group where it is least, then bases and
     * ranks are renewed for the same size. The error need not fall every round, since ranks change with the groups, so the best
     * state seen is kept.
     *
     * @param losses receives the loss of every state seen, the first one before any move
     */
    private State refine(CompressionWorkspace workspace, Grouping start, List<Double> losses, Progress progress) {
        int rounds = task.options().refineRounds().orElseThrow();
        Grouping state = start;
        State best = null;
        double least = 0;
        for (int round = 0; ; round++) {
            progress.at(round == 0 ? "first bases" : "refinement, round " + round, 0.05 + 0.8 * round / (rounds + 1.0));
            List<Spectrum> spectra = state.decompose(workspace);
            double loss = state.loss(spectra);
            losses.add(loss);
            if (best == null || loss < least * (1 - IMPROVEMENT)) {
                best = new State(state, spectra, state.bases(workspace, spectra));
                least = loss;
            }
            Grouping next = round == rounds ? null : moved(workspace, state, NEGLIGIBLE_GAIN * loss);
            if (next == null) {
                return best;
            }
            state = next;
        }
    }

    /** The groups after the best moves, or {@code null} when no row gains. */
    private Grouping moved(CompressionWorkspace workspace, Grouping state, double threshold) {
        int rows = state.groupOf().length;
        byte[] target = new byte[rows];
        float[] gain = new float[rows];
        workspace.assign(state.candidates(), state.groupOf(), target, gain);

        byte[] moved = state.groupOf().clone();
        int[] found = {0};
        LargestRows.forEach(gain, threshold, (int) (CompressionOptions.MOVE_FRACTION * rows), row -> {
            moved[row] = target[row];
            found[0]++;
        });
        try {
            return found[0] == 0 ? null : ranked(moved);
        } catch (UnreachableTargetException e) {
            // The groups grew so that not even one direction fits any more: what was found so far stays.
            return null;
        }
    }
}
