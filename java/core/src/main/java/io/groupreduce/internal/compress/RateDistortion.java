package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * {@code rate-distortion}, the default: one objective, {@code loss + price * bytes}, decides basis, rank and codec of every row,
 * rounding error and right factors included. Its steps:
 *
 * <ol>
 *   <li>bases: the eigenvectors of the weighted Gram matrix of all rows, {@link StartingBases};
 *   <li>the exponent of the weights, measured on hidden states, {@link AlphaSearch}, and the number of bases, {@link BasisCount},
 *       where they were left open;
 *   <li>where a loss is aimed at, the size, {@link LossSearch};
 *   <li>rows choose at the price that fills the size, {@link PriceSearch}, and right factors are fitted to what they chose, in turn,
 *       {@link Alternation}.
 * </ol>
 */
final class RateDistortion implements CompressionMethod {
    /** The exponent without hidden states to measure it on: between the best ones of the two models it was measured on. */
    private static final double DEFAULT_ALPHA = 0.5;

    /**
     * The widest matrix whose number of bases is measured: eigenvectors for several bases cost D^3 each. Of wider ones one
     * basis is taken; on the models measured no second one paid.
     */
    private static final int MOST_COUNTED = 320;

    /** Numbers of the largest matrix whose exponent is measured: each one tried costs a compression of its own. */
    private static final long MOST_TRIED = 30_000_000;

    /** Bytes for the table of distortions: 4 a row and plan. */
    private static final long TABLE_BYTES = 160L << 20;

    private static final int FEWEST_PLANS = 40;

    private final CompressionTask task;
    private final Matrix matrix;
    private final CompressionOptions options;

    RateDistortion(CompressionTask task) {
        this.task = task;
        matrix = task.matrix();
        options = task.options();
    }

    /** A size target leaves room for more than group numbers. */
    @Override
    public void requireReachable() {
        if (options.maxLossIncrease().isPresent()) {
            return;
        }
        Alternation.Settings settings = settings(task);
        // The codec of right factors depends on the size: what counts is the one of the smallest.
        SizeTarget least = new SizeTarget(0, 1, settings.model().unit());
        SizeModel model = settings(task.withOptions(options.withTarget(least))).model();
        StoragePlans plans = settings.plans(options.groups().orElse(1));
        int first = plans.levels(0)[0];
        Codec codec = settings.lowRank().get(0);
        long smallest = (long) Math.ceil(plans.fixed(matrix.rows())
                + model.right(first)
                + (model.unit() == SizeUnit.PARAMETERS ? first : 1 + codec.rowBytes(first)));
        if (settings.budget() < smallest) {
            throw model.noRoom((long) settings.budget(), smallest);
        }
    }

    @Override
    public CompressionResult run(Arena arena, Progress progress) {
        requireReachable();
        progress.at("reading " + matrix.name(), 0);
        StartingBases one = StartingBases.of(task, 1);
        double alpha = options.alpha().orElseGet(() -> measuredAlpha(one, progress));
        double[] raw = Weights.raw(task.counts(), alpha);
        try (CompressionWorkspace workspace = task.open(raw)) {
            double energy = task.energy(workspace);
            progress.at("number of bases", 0.25);
            int bases = options.groups()
                    .orElseGet(() ->
                            matrix.columns() > MOST_COUNTED ? 1 : new BasisCount(task, raw, settings(task)).best());
            StartingBases start = bases == 1 ? one : StartingBases.of(task, bases);
            CompressionOptions aimed = options;
            CompressionSummary.HeldOut heldOut = null;
            if (options.maxLossIncrease().isPresent()) {
                LossSearch.Outcome found =
                        new LossSearch(workspace, task).run(start, bytes -> settings(sized(bytes)), progress);
                aimed = options.withTarget(SizeTarget.bytes(found.bytes()));
                heldOut = found.heldOut();
            }
            Alternation.Settings settings = settings(task.withOptions(aimed));
            try (Alternation alternation = new Alternation(workspace, task, settings)) {
                Alternation.Outcome outcome =
                        alternation.run(start, (step, done) -> progress.at(step, 0.35 + 0.6 * done));
                progress.at("factors", 0.95);
                CompressedMatrix compressed = alternation.store(outcome.best(), arena);
                progress.at("done", 1);
                CompressionOptions settled = aimed.withAlpha(alpha)
                        .withRefineRounds(settings.rounds())
                        .withRightCodec(settings.model().right());
                CompressionSummary summary = CompressionSummary.of(
                        matrix,
                        compressed.bytes(),
                        compressed.bases() == 0 ? settled : settled.withGroups(compressed.bases()),
                        task.metric() != null,
                        energy,
                        outcome.best().loss(),
                        outcome.best().form().inUse(start.spectra()),
                        outcome.losses(),
                        heldOut);
                return new CompressionResult(compressed, summary);
            }
        }
    }

    /** The exponent that loses least on the hidden states, where there are some and counts and size make it worth trying. */
    private double measuredAlpha(StartingBases start, Progress progress) {
        boolean alike = Arrays.stream(task.counts()).allMatch(c -> c == task.counts()[0]);
        boolean large = (long) matrix.rows() * matrix.columns() > MOST_TRIED;
        if (task.softmax() == null || alike || large) {
            return DEFAULT_ALPHA;
        }
        SoftmaxData fitted = options.holdsStatesOut() ? task.softmax().fitted() : task.softmax();
        return new AlphaSearch(task, fitted, settings(task), start).best(progress);
    }

    private CompressionTask sized(long bytes) {
        return task.withOptions(options.withTarget(SizeTarget.bytes(bytes)));
    }

    /** What the options mean for the matrix. */
    private static Alternation.Settings settings(CompressionTask task) {
        CompressionOptions options = task.options();
        Matrix matrix = task.matrix();
        SizeUnit unit = options.target().unit();
        boolean wide = matrix.type() == DType.F32;
        Optional<Codec> codec = options.codec();
        if (codec.isEmpty() && unit == SizeUnit.PARAMETERS) {
            // Numbers are counted, not their bits.
            codec = Optional.of(wide ? Codec.F32 : Codec.BF16);
        }
        List<Codec> lowRank = codec.map(List::of).orElse(List.of(Codec.INT3, Codec.INT4, Codec.INT8));
        List<Codec> dense = codec.map(List::of)
                .orElse(wide ? List.of(Codec.INT8, Codec.BF16, Codec.F32) : List.of(Codec.INT8, Codec.BF16));
        double budget = task.factorBudget();
        double bits = 8 * budget / ((double) matrix.rows() * matrix.columns());
        Codec right = options.rightCodec()
                .orElse(codec.filter(c -> !c.scaled())
                        .orElse(bits > CompressionOptions.FINE_BITS ? Codec.BF16 : Codec.INT8));
        SizeModel model = new SizeModel(matrix.name(), unit, matrix.columns(), right, ScaleScheme.COMPACT);
        int plans = Math.clamp(TABLE_BYTES / (4L * matrix.rows()), FEWEST_PLANS, GroupPlan.MAX_GROUPS);
        int rounds = options.refineRounds().orElse(CompressionOptions.RENEWALS);
        return new Alternation.Settings(budget, model, lowRank, dense, rounds, 1, plans);
    }
}
