package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.HeaderShare;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Loss;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * What is compressed, on what and how: where every method begins. {@link io.groupreduce.GroupReduce} checked it.
 *
 * @param matrix A, N x D
 * @param counts how often each token occurs, length N
 * @param metric what meets the matrix, or {@code null} for the identity
 * @param softmax the softmax it serves, or {@code null}; needed for calibration and to aim at a loss
 */
public record CompressionTask(
        ComputeBackend backend,
        Matrix matrix,
        long[] counts,
        MetricRoot metric,
        SoftmaxData softmax,
        CompressionOptions options) {
    private static final long SAMPLE_SEED = 7;

    /** A matrix of less energy is all but zero in single precision. */
    private static final double LEAST_ENERGY = 1e-30;

    /** A bias is trained where it takes no more than this share of the size. */
    private static final double BIAS_SHARE = 0.025;

    /**
     * A task whose metric is what meets the matrix: the hidden states where rate-distortion knows them, what the caller gives, or the
     * mean of both. The paper's methods take only what they are given.
     *
     * @param given beside the hidden states of {@code softmax}; {@code null} for nothing
     */
    public static CompressionTask of(
            ComputeBackend backend,
            Matrix matrix,
            long[] counts,
            Metric given,
            SoftmaxData softmax,
            CompressionOptions options) {
        DenseAlgebra algebra = new DenseAlgebra(backend::forEach);
        MetricRoot root = given == null ? null : MetricRoot.of(algebra, given);
        if (softmax != null && options.method() == Method.RATE_DISTORTION) {
            SoftmaxData seen = options.holdsStatesOut() ? softmax.fitted() : softmax;
            MetricRoot met = MetricRoot.ofHidden(algebra, seen.hidden());
            root = root == null
                    ? met
                    : MetricRoot.combined(algebra, root, met, matrix.columns(), "The metric of " + matrix.name());
        }
        return new CompressionTask(backend, matrix, counts, root, softmax, options);
    }

    CompressionTask withOptions(CompressionOptions value) {
        return new CompressionTask(backend, matrix, counts, metric, softmax, value);
    }

    /**
     * The same task on some of the rows, drawn by a fixed seed, with their counts and biases; this one where it has no more rows than that.
     * Hidden states meet fewer rows then, without what these followed.
     */
    CompressionTask sample(int most) {
        if (matrix.rows() <= most) {
            return this;
        }
        int columns = matrix.columns();
        int[] chosen = sampleRows(most);
        float[] values = new float[most * columns];
        long[] counted = new long[most];
        float[] bias = softmax == null || softmax.bias() == null ? null : new float[most];
        for (int i = 0; i < most; i++) {
            matrix.readRow(chosen[i], values, i * columns);
            counted[i] = counts[chosen[i]];
            if (bias != null) {
                bias[i] = softmax.bias()[chosen[i]];
            }
        }
        SoftmaxData met = softmax == null ? null : new SoftmaxData(softmax.hidden(), null, bias);
        return new CompressionTask(
                backend, Matrix.of(matrix.name(), values, most, columns), counted, metric, met, options);
    }

    /** Some of the rows in rising order, drawn by a fixed seed; all of them where there are no more than {@code most}. */
    int[] sampleRows(int most) {
        return matrix.rows() <= most
                ? IntStream.range(0, matrix.rows()).toArray()
                : new SplittableRandom(SAMPLE_SEED)
                        .ints(0, matrix.rows())
                        .distinct()
                        .limit(most)
                        .sorted()
                        .toArray();
    }

    /** Whether all counts are equal, so that every exponent gives the same weights. */
    boolean countsAlike() {
        return Arrays.stream(counts).allMatch(c -> c == counts[0]);
    }

    /** The matrix under weights (c + 1)^alpha as {@link Weights#raw} gives them. The caller closes the workspace. */
    CompressionWorkspace open(double[] raw) {
        return backend.open(new CompressionProblem(
                matrix,
                Weights.scaledToMeanOne(raw),
                Weights.scaledToMeanOne(Weights.raw(counts, 1)),
                metric == null ? null : metric.root(),
                metric == null ? null : metric.rootInverse()));
    }

    /**
     * The energy of the whole matrix. Kernels square numbers in single precision: no entry of a Gram matrix exceeds the energy, so
     * one that fits is enough against overflow.
     *
     * @throws InvalidDataException if it does not fit
     */
    double energy(CompressionWorkspace workspace) {
        double energy = workspace.energy();
        if (!(energy <= Float.MAX_VALUE)) {
            throw outOfRange(energy, "large", "overflow");
        }
        if (energy < LEAST_ENERGY && !allZero()) {
            throw outOfRange(energy, "small", "vanish");
        }
        return energy;
    }

    /**
     * The loss of what was stored.
     *
     * @throws InvalidDataException if the matrix's own squares overflow, which a metric of small numbers hides from {@link #energy}
     */
    Loss loss(CompressionWorkspace workspace, CompressedMatrix stored) {
        Loss loss = workspace.loss(stored);
        if (!(loss.countedEnergy() <= Float.MAX_VALUE)) {
            throw outOfRange(loss.countedEnergy(), "large", "overflow");
        }
        return loss;
    }

    /** Blames the matrix only where it would not do without what meets it. */
    private InvalidDataException outOfRange(double energy, String size, String end) {
        double own = 0;
        float[] row = new float[matrix.columns()];
        for (int i = 0; i < matrix.rows(); i++) {
            matrix.readRow(i, row, 0);
            for (float value : row) {
                own += (double) value * value;
            }
        }
        boolean fits = metric != null && own <= Float.MAX_VALUE && own >= LEAST_ENERGY;
        String what = fits && softmax != null
                ? softmax.hidden().name()
                : fits ? "The metric of " + matrix.name() : matrix.name();
        return new InvalidDataException(what + " holds numbers so " + size + " that their squares " + end + " (energy "
                + energy + "); divide them by the largest first.");
    }

    private boolean allZero() {
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

    /** The size target less the bias that calibration will add. */
    long factorBudget() {
        return options.target().budget(matrix) - (biasPays() ? biasBytes() : 0);
    }

    /**
     * Whether calibration trains a bias: where its two bytes a row are a small part of the size. Measured on the Penn Treebank
     * model at 40 times smaller: a bias lowers KL by 4 %, while its bytes, a tenth of the size, buy more in coordinates.
     */
    boolean biasPays() {
        return options.calibrationEpochs() > 0
                && options.target().unit() == SizeUnit.BYTES
                && biasBytes() <= BIAS_SHARE * options.target().budget(matrix);
    }

    private long biasBytes() {
        return 2L * matrix.rows() + HeaderShare.bias(matrix.tensor());
    }
}
