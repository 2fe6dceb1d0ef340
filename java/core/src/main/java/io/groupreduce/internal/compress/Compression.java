package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Runs the steps on one matrix. Inputs were checked by {@link io.groupreduce.GroupReduce}. */
public final class Compression {
    /** A matrix of less energy is all but zero in single precision. */
    private static final double LEAST_ENERGY = 1e-30;

    /** The paper's groups and rounds of refinement. */
    static final int PAPER_GROUPS = 5;

    private static final int PAPER_ROUNDS = 10;

    /** A bias is trained where it takes no more than this share of the size. */
    private static final double BIAS_SHARE = 0.025;

    /** The part of the progress that comes before calibration. */
    private static final double UNCALIBRATED_SHARE = 0.3;

    private Compression() {}

    /**
     * Compresses a matrix.
     *
     * @param counts how often each token occurs, length N
     * @param metric what meets the matrix, or {@code null} for the identity
     * @param softmax the softmax it serves, or {@code null}; needed for calibration and to aim at a loss
     * @param arena owns the memory of the result
     * @throws io.groupreduce.error.UnreachableTargetException if no rank meets the size target
     */
    public static CompressionResult run(
            Backend backend,
            Matrix matrix,
            long[] counts,
            MetricRoot metric,
            SoftmaxData softmax,
            CompressionOptions options,
            Arena arena,
            Progress progress) {
        double share = options.calibrationEpochs() > 0 ? UNCALIBRATED_SHARE : 1;
        Progress part = (step, done) -> progress.at(step, share * done);
        CompressionOptions settled = settle(options, matrix);
        CompressionResult result = settled.method() == Method.RATE_DISTORTION
                ? new RateDistortionMethod(backend, matrix, counts, metric, softmax, settled).run(arena, part)
                : grouped(backend, matrix, counts, metric, settled, arena, part);
        if (options.calibrationEpochs() == 0) {
            return result;
        }
        boolean trainBias = biasPays(matrix, result.options());
        Calibration.Outcome outcome = Calibration.run(
                backend,
                matrix,
                softmax,
                result.matrix(),
                options.calibrationEpochs(),
                trainBias,
                arena,
                (step, done) -> progress.at(step, share + (1 - share) * done));
        double[] raw = Weights.raw(counts, result.options().alpha().orElse(0));
        try (CompressionWorkspace workspace = backend.open(problem(matrix, raw, metric))) {
            return result.calibrated(outcome.matrix(), workspace.loss(outcome.matrix()), outcome.heldOutLosses());
        }
    }

    /**
     * Whether calibration trains a bias: where its two bytes a row are a small part of the size. Measured on the Penn Treebank
     * model at 40 times smaller: a bias lowers KL by 4 %, while its bytes, a tenth of the size, buy more in coordinates.
     */
    static boolean biasPays(Matrix matrix, CompressionOptions options) {
        return options.calibrationEpochs() > 0
                && options.target().unit() == SizeUnit.BYTES
                && biasBytes(matrix) <= BIAS_SHARE * options.target().budget(matrix);
    }

    /** The size target less the bias that calibration will add. */
    static long factorBudget(Matrix matrix, CompressionOptions options) {
        return options.target().budget(matrix) - (biasPays(matrix, options) ? biasBytes(matrix) : 0);
    }

    private static long biasBytes(Matrix matrix) {
        return 2L * matrix.rows();
    }

    /** The loss that weights and a metric make. */
    static CompressionProblem problem(Matrix matrix, double[] raw, MetricRoot metric) {
        return new CompressionProblem(
                matrix,
                Weights.scaledToMeanOne(raw),
                metric == null ? null : metric.root(),
                metric == null ? null : metric.rootInverse());
    }

    /** The methods that group first and choose one rank a group. */
    private static CompressionResult grouped(
            Backend backend,
            Matrix matrix,
            long[] counts,
            MetricRoot metric,
            CompressionOptions settled,
            Arena arena,
            Progress progress) {
        Method method = settled.method();
        double[] raw = rawWeights(counts, settled);
        SizeModel model = model(matrix, settled);
        Grouping.RankRule rule = rule(matrix, settled);
        // Before the data is touched, so that an impossible target fails at once.
        Grouping start = start(matrix, counts, raw, settled);
        progress.at("reading " + matrix.name(), 0);
        try (CompressionWorkspace workspace = backend.open(problem(matrix, raw, metric))) {
            double energy = workspace.energy();
            requireRange(matrix, energy);
            int rounds = method.grouped() ? settled.refineRounds().orElseThrow() : 0;
            Refinement.Outcome outcome = Refinement.run(
                    workspace, start, raw, rule, rounds, (step, done) -> progress.at(step, 0.05 + 0.8 * done));
            progress.at("factors", 0.85);
            List<Spectrum> spectra = outcome.best().decompose(workspace);
            CompressedMatrix compressed = Factorization.run(workspace, matrix, outcome.best(), spectra, model, arena);
            progress.at("measuring the loss", 0.95);
            double loss = workspace.loss(compressed);
            progress.at("done", 1);
            return new CompressionResult(
                    matrix,
                    compressed,
                    settled,
                    metric != null,
                    energy,
                    loss,
                    used(outcome.best(), spectra),
                    outcome.losses(),
                    List.of(),
                    null);
        }
    }

    /**
     * Checks that a size target can be met, without touching the data.
     *
     * @throws UnreachableTargetException if no rank meets it
     */
    public static void requireReachable(Matrix matrix, long[] counts, CompressionOptions options) {
        CompressionOptions settled = settle(options, matrix);
        if (settled.method() == Method.RATE_DISTORTION) {
            RateDistortionMethod.requireReachable(matrix, settled);
        } else {
            start(matrix, counts, rawWeights(counts, settled), settled);
        }
    }

    /** The first groups and their ranks. */
    private static Grouping start(Matrix matrix, long[] counts, double[] raw, CompressionOptions settled) {
        boolean grouped = settled.method().grouped();
        int groups = grouped ? settled.groups().orElseThrow() : 1;
        byte[] groupOf = grouped ? EqualMassGroups.of(counts, groups) : new byte[matrix.rows()];
        return Grouping.of(groupOf, groups, raw, rule(matrix, settled));
    }

    private static double[] rawWeights(long[] counts, CompressionOptions settled) {
        return Weights.raw(counts, settled.method().weighted() ? settled.alpha().orElseThrow() : 0);
    }

    /**
     * Kernels square numbers in single precision: no entry of a Gram matrix exceeds the energy, so an energy that fits is
     * enough against overflow.
     */
    static void requireRange(Matrix matrix, double energy) {
        if (!(energy <= Float.MAX_VALUE)) {
            throw new InvalidDataException(
                    matrix.name() + " holds numbers so large that their squares overflow (energy " + energy
                            + "); divide the matrix by its largest number first.");
        }
        if (energy < LEAST_ENERGY && !allZero(matrix)) {
            throw new InvalidDataException(matrix.name() + " holds numbers so small that their squares vanish (energy "
                    + energy + "); divide the matrix by its largest number first.");
        }
    }

    private static boolean allZero(Matrix matrix) {
        float[] row = new float[matrix.columns()];
        for (int i = 0; i < matrix.rows(); i++) {
            matrix.readRow(i, row, 0);
            for (float value : row) {
                if (value != 0) {
                    return false;
                }
            }
        }
        return true;
    }

    /** What ranks cost with settled options. */
    static SizeModel model(Matrix matrix, CompressionOptions settled) {
        return new SizeModel(
                settled.target().unit(),
                matrix.columns(),
                settled.codec().orElseThrow(),
                settled.rightCodec().orElseThrow());
    }

    /** How the method of settled options chooses ranks. */
    static Grouping.RankRule rule(Matrix matrix, CompressionOptions settled) {
        SizeModel model = model(matrix, settled);
        long budget = factorBudget(matrix, settled);
        return (sizes, means) -> {
            RankAllocation allocation = new RankAllocation(model, sizes, means);
            try {
                return settled.method().grouped()
                        ? allocation.proportional(budget, settled.minRank())
                        : allocation.uniform(budget);
            } catch (UnreachableTargetException e) {
                throw new UnreachableTargetException(matrix.name() + ": " + e.getMessage(), e.smallest());
            }
        };
    }

    /** The spectra of the bases that the compressed matrix has, in its numbering. */
    private static List<Spectrum> used(Grouping grouping, List<Spectrum> spectra) {
        int[] sizes = grouping.sizes();
        List<Spectrum> used = new ArrayList<>();
        for (int g = 0; g < grouping.groups(); g++) {
            if (sizes[g] > 0 && grouping.ranks()[g] > 0) {
                used.add(spectra.get(g));
            }
        }
        return used;
    }

    /** Fills in what was left to a method, but for rate-distortion, which looks at the data first. */
    static CompressionOptions settle(CompressionOptions options, Matrix matrix) {
        if (options.method() == Method.RATE_DISTORTION) {
            return options;
        }
        Codec left = options.codec().orElse(matrix.type() == DType.F32 ? Codec.F32 : Codec.BF16);
        Optional<Codec> right = options.rightCodec();
        boolean coarse = left == Codec.INT4 || left == Codec.INT3;
        CompressionOptions settled = options.withCodec(left).withRightCodec(right.orElse(coarse ? Codec.INT8 : left));
        if (options.method().weighted()) {
            settled = settled.withAlpha(options.alpha().orElse(1));
        }
        return options.method().grouped()
                ? settled.withGroups(options.groups().orElse(PAPER_GROUPS))
                        .withRefineRounds(options.refineRounds().orElse(PAPER_ROUNDS))
                : settled;
    }
}
