package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.HeaderShare;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * {@code rate-distortion}, the default: one objective, {@code loss + price * bytes}, decides basis and bit profile of every row,
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

    /** Numbers of the rows on which exponents are measured: each one tried costs a compression of its own. */
    private static final int MOST_TRIED = 20_000_000;

    /** What dense rows may be stored as where nothing else was asked for; binary32 of binary32 only. */
    private static final List<Codec> DENSE =
            List.of(Codec.INT3, Codec.INT4, Codec.INT6, Codec.INT8, Codec.BF16, Codec.F32);

    /** Bytes for the table of distortions: 4 a row and plan. */
    private static final long TABLE_BYTES = 160L << 20;

    /** The share of the size that D directions in bytes would take, from which on it is measured in which codes right factors pay. */
    private static final double MUCH = 0.08;

    /** How many times the mean's bits a row may take that does not lie along the directions of the others. */
    private static final double ODD = 2;

    /** Numbers of a matrix of which everything that may pay is tried. */
    private static final long SMALL = 300_000;

    /**
     * Numbers of a matrix of which each codec is tried on its own, too. Measured on 60 matrices: of those of 3,000 to 13,000 numbers one codec
     * loses up to 1.1 % less now and then, of larger ones 2 % more at least.
     */
    private static final long EACH_CODEC = 30_000;

    /**
     * Numbers of a matrix of which a packed form is compared with an ordinary one of the same size, and the better taken: where rows are few, or
     * some are far larger than the others, plans do more than entropy coding.
     */
    private static final long BOTH_TRIED = 4_000_000;

    private static final int FEWEST_PLANS = 48;

    /** More plans for fewer rows would make many small groups. */
    private static final int ROWS_A_PLAN = 100;

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
        if (comparable()) {
            new RateDistortion(task.withOptions(options.withPacked(false))).requireReachable();
            return;
        }
        Alternation.Settings settings = settings(task);
        if (options.packed()) {
            UniformSteps.requireReachable(settings, matrix.rows());
            return;
        }
        // The codec of right factors depends on the size: what counts is the one of the smallest.
        SizeTarget least = new SizeTarget(0, 1, settings.model().unit());
        SizeModel model = settings(task.withOptions(options.withTarget(least))).model();
        GroupPlan thinnest = GroupPlan.of(0, 1, settings.wanted().codec().orElse(Codec.INT8));
        long smallest =
                model.fixed(matrix.rows(), List.of(GroupPlan.zero(), thinnest)) + model.right(1) + model.row(thinnest);
        // At that size right factors may be finer than at the least one.
        SizeTarget named = new SizeTarget(0, smallest, model.unit());
        smallest += Math.max(
                0, settings(task.withOptions(options.withTarget(named))).model().right(1) - model.right(1));
        if (settings.budget() < smallest) {
            throw model.noRoom((long) settings.budget(), smallest);
        }
    }

    @Override
    public CompressionResult run(Arena arena, Progress progress) {
        requireReachable();
        List<CompressionOptions> ways = ways();
        CompressionResult best = null;
        CompressionResult profiles = null;
        UnreachableTargetException refused = null;
        for (int w = 0; w < ways.size(); w++) {
            double before = w;
            Progress part = (step, done) -> progress.at(step, (before + done) / ways.size());
            CompressionOptions way = ways.get(w);
            boolean oneCodec = way.codec().isPresent();
            if (best != null) {
                way = way.withAlpha(best.summary().options().alpha().orElseThrow());
            }
            if (profiles != null && oneCodec && way.groups().isEmpty()) {
                way = way.withGroups(Math.max(1, profiles.matrix().bases()));
            }
            try {
                CompressionResult result = new RateDistortion(task.withOptions(way)).alone(arena, part);
                profiles = oneCodec ? profiles : result;
                if (best == null || result.summary().loss() < best.summary().loss()) {
                    best = result;
                }
            } catch (UnreachableTargetException e) {
                refused = e;
            }
        }
        if (best == null) {
            throw refused;
        }
        return best;
    }

    /**
     * What is asked for, and where the better of several ways is taken, these: beside packed rows ordinary ones, and of a tiny matrix one codec
     * for all coordinates, since the groups of many profiles may be too small for few rows. The exponent and the number of bases are those
     * found for what is asked for.
     */
    private List<CompressionOptions> ways() {
        List<CompressionOptions> ways = new ArrayList<>(List.of(options));
        if (options.maxLossIncrease().isPresent()) {
            return ways;
        }
        CompressionOptions plain = options.withPacked(false);
        if (comparable()) {
            ways.add(plain);
        }
        long size = (long) matrix.rows() * matrix.columns();
        if (size <= EACH_CODEC && options.codec().isEmpty() && options.target().unit() == SizeUnit.BYTES) {
            DENSE.stream()
                    .filter(codec -> codec != Codec.F32 || matrix.type() == DType.F32)
                    .map(plain::withCodec)
                    .forEach(ways::add);
        }
        return ways;
    }

    /** Whether a packed form and an ordinary one are both made, and the better one taken. */
    private boolean comparable() {
        return options.packed()
                && options.maxLossIncrease().isEmpty()
                && (long) matrix.rows() * matrix.columns() <= BOTH_TRIED;
    }

    /** In the one form that the options name. */
    CompressionResult alone(Arena arena, Progress progress) {
        if (options.packed() && options.maxLossIncrease().isEmpty()) {
            UniformSteps.requireReachable(settings(task), matrix.rows());
        }
        progress.at("reading " + matrix.name(), 0);
        StartingBases one = StartingBases.of(task, 1);
        double alpha = options.alpha().orElseGet(() -> measuredAlpha(one, progress));
        double[] raw = Weights.raw(task.counts(), alpha);
        try (CompressionWorkspace workspace = task.open(raw)) {
            double energy = task.energy(workspace);
            progress.at("number of bases", 0.25);
            int bases = options.groups()
                    .orElseGet(() -> options.packed() || matrix.columns() > MOST_COUNTED
                            ? 1
                            : new BasisCount(task, alpha, settings(task)).best());
            StartingBases start = bases == 1 ? one : StartingBases.of(task, bases);
            CompressionOptions aimed = options;
            CompressionSummary.HeldOut heldOut = null;
            if (options.maxLossIncrease().isPresent()) {
                LossSearch.Outcome found =
                        new LossSearch(workspace, task, raw).run(start, bytes -> settings(sized(bytes)), progress);
                aimed = options.withTarget(SizeTarget.bytes(found.bytes()));
                heldOut = found.heldOut();
            }
            Alternation.Settings settings = settings(task.withOptions(aimed));
            try (Alternation alternation = new Alternation(workspace, task, settings, raw)) {
                Alternation.Outcome outcome =
                        alternation.run(start, (step, done) -> progress.at(step, 0.35 + 0.6 * done));
                progress.at("factors", 0.95);
                CompressedMatrix compressed = alternation.store(outcome.best(), arena);
                progress.at("done", 1);
                CompressionOptions settled = aimed.withAlpha(alpha).withRefineRounds(settings.rounds());
                if (!options.packed() && compressed.bases() > 0) {
                    settled = settled.withRightCodec(outcome.best().form().model.right());
                }
                CompressionSummary summary = CompressionSummary.of(
                        matrix,
                        compressed.bytes(),
                        compressed.bases() == 0 ? settled : settled.withGroups(compressed.bases()),
                        task.metric() != null,
                        energy,
                        outcome.best().loss(),
                        outcome.best().relativeError(),
                        outcome.best().form().inUse(start.spectra()),
                        outcome.losses(),
                        heldOut);
                return new CompressionResult(compressed, summary);
            }
        }
    }

    /** The exponent that loses least on the hidden states, where there are some and counts and size make it worth trying. */
    private double measuredAlpha(StartingBases start, Progress progress) {
        if (task.softmax() == null || task.countsAlike()) {
            return DEFAULT_ALPHA;
        }
        CompressionTask sample = task.sample(Math.max(1, MOST_TRIED / matrix.columns()));
        Alternation.Settings settings =
                settings(task).sample((double) sample.matrix().rows() / matrix.rows());
        SoftmaxData known = sample.softmax();
        return new AlphaSearch(sample, options.holdsStatesOut() ? known.fitted() : known, settings, start)
                .best(progress);
    }

    private CompressionTask sized(long bytes) {
        return task.withOptions(options.withTarget(SizeTarget.bytes(bytes)));
    }

    /**
     * Codes of right factors to choose from. Where these take much of the size it is measured which pay: fewer bits for more directions, or more
     * where few directions hold almost everything.
     */
    private static List<Codec> rights(Matrix matrix, double budget, double bits) {
        if (dear(matrix, budget)) {
            List<Codec> rights = List.of(Codec.INT4, Codec.INT6, Codec.INT8, Codec.BF16, Codec.F32);
            return small(matrix) && matrix.type() == DType.F32 ? rights : rights.subList(0, rights.size() - 1);
        }
        return List.of(bits > CompressionOptions.FINE_BITS ? Codec.BF16 : Codec.INT8);
    }

    /** Whether right factors take much of the size, or the matrix is so small that trying costs nothing. */
    private static boolean dear(Matrix matrix, double budget) {
        double columns = matrix.columns();
        return columns * columns > MUCH * budget || small(matrix);
    }

    private static boolean small(Matrix matrix) {
        return (long) matrix.rows() * matrix.columns() <= SMALL;
    }

    /**
     * What dense rows may be stored as: codes of few bits where right factors would take much of the size, since elsewhere profiles of all
     * directions lose less. But a few rows do not lie along the directions of the others (of a published embedding the one that begins every
     * text), and lose many times what they need: for these one codec of about the mean's bits. Nothing that takes many times the mean of a row.
     */
    private static List<Codec> dense(Matrix matrix, double budget, double bits) {
        boolean dear = dear(matrix, budget);
        Codec odd = bits > Codec.INT4.bits() ? Codec.INT6 : bits > Codec.INT3.bits() ? Codec.INT4 : Codec.INT3;
        boolean affordable = bits * ODD >= odd.bits();
        double most = small(matrix) ? Double.POSITIVE_INFINITY : ByteLevels.SPREAD * budget / matrix.rows();
        return DENSE.stream()
                .filter(codec -> codec.bits() >= Codec.INT8.bits() || dear || codec == odd && affordable)
                .filter(codec -> codec != Codec.F32 || matrix.type() == DType.F32)
                .filter(codec -> BitProfile.of(codec, matrix.columns()).rowBytes() <= most)
                .toList();
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
        double budget = task.factorBudget();
        Optional<Codec> fixed = codec;
        double bits = 8 * budget / ((double) matrix.rows() * matrix.columns());
        List<Codec> dense = codec.map(List::of).orElseGet(() -> dense(matrix, budget, bits));
        List<Codec> rights = options.rightCodec()
                .or(() -> fixed.filter(c -> !c.scaled()))
                .map(List::of)
                .orElseGet(() -> rights(matrix, budget, bits));
        SizeModel model = new SizeModel(
                matrix.name(),
                unit,
                matrix.columns(),
                HeaderShare.fixed(matrix.tensor()),
                rights.get(0),
                ScaleScheme.COMPACT);
        long tabled = TABLE_BYTES / (4L * matrix.rows());
        int plans = Math.clamp(Math.min(tabled, matrix.rows() / ROWS_A_PLAN), FEWEST_PLANS, GroupPlan.MAX_GROUPS);
        int rounds = options.refineRounds().orElse(CompressionOptions.RENEWALS);
        StoragePlans.Wanted wanted =
                new StoragePlans.Wanted(codec, dense, budget / matrix.rows(), plans, options.timePrice());
        return new Alternation.Settings(budget, model, wanted, rights, rounds, 1, options.packed());
    }
}
