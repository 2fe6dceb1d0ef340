package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * {@link RateDistortion} on one matrix, with all that the user left open: the exponent of the weights, the number of bases,
 * the codecs, and where a loss is aimed at, the size.
 */
final class RateDistortionMethod {
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
    private static final int MOST_PLANS = 255;

    private final Backend backend;
    private final Matrix matrix;
    private final long[] counts;
    private final MetricRoot metric;
    private final SoftmaxData softmax;
    private final CompressionOptions options;

    RateDistortionMethod(
            Backend backend,
            Matrix matrix,
            long[] counts,
            MetricRoot metric,
            SoftmaxData softmax,
            CompressionOptions options) {
        this.backend = backend;
        this.matrix = matrix;
        this.counts = counts;
        this.metric = metric;
        this.softmax = softmax;
        this.options = options;
    }

    /**
     * Checks that a size target leaves room for more than group numbers.
     *
     * @throws UnreachableTargetException if it does not
     */
    static void requireReachable(Matrix matrix, CompressionOptions options) {
        if (options.maxLossIncrease().isPresent()) {
            return;
        }
        RateDistortion.Settings settings = settings(matrix, options);
        Codec codec = settings.lowRank().get(0);
        // The codec of right factors depends on the size: what counts is the one of the smallest.
        SizeTarget least = new SizeTarget(0, 1, settings.unit());
        StoragePlans plans = StoragePlans.of(
                options.groups().orElse(1),
                matrix.columns(),
                settings.lowRank(),
                settings.dense(),
                settings(matrix, options.withTarget(least)).right(),
                settings.unit(),
                settings.mostPlans());
        int first = plans.levels(0)[0];
        long smallest = (long) Math.ceil(plans.fixedBytes(matrix.rows())
                + plans.rightBytes(first)
                + (options.target().unit() == SizeUnit.PARAMETERS ? first : 1 + codec.rowBytes(first)));
        if (settings.budget() < smallest) {
            throw SizeModel.noRoom(matrix.name() + ": ", (long) settings.budget(), settings.unit(), smallest);
        }
    }

    CompressionResult run(Arena arena, Progress progress) {
        requireReachable(matrix, options);
        progress.at("reading " + matrix.name(), 0);
        SoftmaxData fitted = softmax == null || !options.holdsStatesOut() ? softmax : softmax.fitted();
        StartingBases one = StartingBases.of(backend, matrix, counts, metric, 1);
        RateDistortion.Settings unlimited = settings(matrix, options);
        double alpha = options.alpha()
                .orElseGet(() -> fitted == null || isLarge() || allEqual(counts)
                        ? DEFAULT_ALPHA
                        : new AlphaSearch(backend, matrix, counts, metric, fitted, unlimited, one).best(progress));
        double[] raw = Weights.raw(counts, alpha);
        try (CompressionWorkspace workspace = backend.open(Compression.problem(matrix, raw, metric))) {
            double energy = workspace.energy();
            Compression.requireRange(matrix, energy);
            progress.at("number of bases", 0.25);
            int bases = options.groups()
                    .orElseGet(() -> matrix.columns() > MOST_COUNTED
                            ? 1
                            : new BasisCount(backend, matrix, counts, raw, metric, unlimited).best());
            StartingBases start = bases == 1 ? one : StartingBases.of(backend, matrix, counts, metric, bases);
            CompressionOptions aimed = options;
            CompressionResult.HeldOut heldOut = null;
            if (options.maxLossIncrease().isPresent()) {
                double increase = options.maxLossIncrease().getAsDouble();
                LossSearch.Outcome found = new LossSearch(backend, workspace, matrix, metric, softmax, increase)
                        .run(start, bytes -> settings(matrix, options.withTarget(SizeTarget.bytes(bytes))), progress);
                aimed = options.withTarget(SizeTarget.bytes(found.bytes()));
                heldOut = found.heldOut();
            }
            RateDistortion.Settings settings = settings(matrix, aimed);
            try (RateDistortion method = new RateDistortion(workspace, matrix, metric, settings)) {
                RateDistortion.Outcome outcome =
                        method.run(start, (step, done) -> progress.at(step, 0.35 + 0.6 * done));
                progress.at("factors", 0.95);
                CompressedMatrix compressed = method.store(outcome.best(), arena);
                progress.at("done", 1);
                return new CompressionResult(
                        matrix,
                        compressed,
                        settled(aimed, alpha, compressed, settings),
                        metric != null,
                        energy,
                        outcome.best().loss(),
                        spectra(start, outcome.best()),
                        outcome.losses(),
                        List.of(),
                        heldOut);
            }
        }
    }

    /** The spectra of the bases that rows use, in the file's numbering. */
    private static List<Spectrum> spectra(StartingBases start, RateDistortion.State state) {
        List<Spectrum> used = new ArrayList<>();
        for (int b = 0; b < state.right().size(); b++) {
            if (state.right().get(b) != null) {
                used.add(start.spectra().get(b));
            }
        }
        return used;
    }

    /** Whether every exponent would take a long time to try. */
    private boolean isLarge() {
        return (long) matrix.rows() * matrix.columns() > MOST_TRIED;
    }

    /** Whether every exponent gives the same weights. */
    private static boolean allEqual(long[] counts) {
        return Arrays.stream(counts).allMatch(c -> c == counts[0]);
    }

    private static CompressionOptions settled(
            CompressionOptions aimed, double alpha, CompressedMatrix compressed, RateDistortion.Settings settings) {
        CompressionOptions settled =
                aimed.withAlpha(alpha).withRefineRounds(settings.rounds()).withRightCodec(settings.right());
        return compressed.bases() == 0 ? settled : settled.withGroups(compressed.bases());
    }

    /** What the options mean for a matrix. */
    static RateDistortion.Settings settings(Matrix matrix, CompressionOptions options) {
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
        double budget = Compression.factorBudget(matrix, options);
        double bits = 8 * budget / ((double) matrix.rows() * matrix.columns());
        Codec right = options.rightCodec()
                .orElse(codec.filter(c -> !c.scaled())
                        .orElse(bits > CompressionOptions.FINE_BITS ? Codec.BF16 : Codec.INT8));
        int plans = Math.clamp(TABLE_BYTES / (4L * matrix.rows()), FEWEST_PLANS, MOST_PLANS);
        int rounds = options.refineRounds().orElse(CompressionOptions.RENEWALS);
        return new RateDistortion.Settings(budget, unit, lowRank, dense, right, rounds, 1, plans);
    }
}
