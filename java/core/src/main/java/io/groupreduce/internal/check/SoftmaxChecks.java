package io.groupreduce.internal.check;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;

/** What hidden states, targets and biases must be like before a matrix may meet them. */
public final class SoftmaxChecks {
    private SoftmaxChecks() {}

    /** Options that train or judge need hidden states. */
    public static void requireFor(CompressionOptions options, boolean hidden, boolean targets) {
        if (options.calibrationEpochs() > 0 && !hidden) {
            throw new InvalidOptionException(
                    "Calibration needs hidden states to train on; give them with --hidden, or leave calibration out.");
        }
        if (options.maxLossIncrease().isPresent() && !(hidden && targets)) {
            throw new InvalidOptionException(
                    "A largest loss increase needs hidden states with targets to measure the loss on; give them with"
                            + " --hidden, or give a ratio.");
        }
    }

    /** The states fit the matrix, are finite, and are enough for what the options ask. */
    public static void require(SoftmaxData softmax, Matrix matrix, CompressionOptions options) {
        Matrix hidden = softmax.hidden();
        if (hidden.rows() < 2
                && (options.calibrationEpochs() > 0 || options.maxLossIncrease().isPresent())) {
            throw new InvalidDataException(hidden.name()
                    + " has 1 hidden state, but some are needed to fit to and others to judge on; give at least 2.");
        }
        requireSoftmax(matrix, softmax.bias(), hidden, softmax.targets());
    }

    /**
     * What two softmax heads are compared on fits together and is finite.
     *
     * @throws InvalidDataException if shapes or lengths differ, a target is no row of the matrix, or a number of the dense
     *     matrix, the bias or the hidden states is NaN or infinite
     */
    public static void requireComparable(
            Matrix dense, float[] bias, CompressedMatrix compressed, Matrix hidden, int[] targets) {
        compressed.requireStandsFor(dense);
        requireSoftmax(dense, bias, hidden, targets);
        Shareable.require(dense);
        Shareable.require(compressed);
        Finite.require(dense);
    }

    private static void requireSoftmax(Matrix matrix, float[] bias, Matrix hidden, int[] targets) {
        if (hidden.columns() != matrix.columns()) {
            throw new InvalidDataException(
                    hidden.name() + " has hidden states of width " + hidden.columns() + " but " + matrix.name()
                            + " has " + matrix.columns() + " columns; take the hidden states of the same model.");
        }
        Shareable.require(hidden);
        requireTargets(targets, hidden, matrix);
        requireBias(bias, matrix);
        Finite.require(hidden);
    }

    private static void requireTargets(int[] targets, Matrix hidden, Matrix matrix) {
        if (targets != null && targets.length != hidden.rows()) {
            throw new InvalidDataException(hidden.name() + " has " + hidden.rows() + " hidden states but there are "
                    + targets.length + " targets; give one target for each.");
        }
        for (int t = 0; targets != null && t < targets.length; t++) {
            if (targets[t] < 0 || targets[t] >= matrix.rows()) {
                throw new InvalidDataException(hidden.name() + " has the target " + targets[t] + " at index " + t
                        + ", but " + matrix.name() + " has only rows 0 to " + (matrix.rows() - 1) + ".");
            }
        }
    }

    /** @throws InvalidDataException if the bias of a matrix, unless {@code null}, is not of length N or holds NaN or infinity */
    public static void requireBias(float[] bias, Matrix matrix) {
        requireBias(bias, matrix.rows(), matrix.name());
    }

    /** @throws InvalidDataException if a bias, unless {@code null}, is not of length N or holds NaN or infinity */
    static void requireBias(float[] bias, int rows, String matrix) {
        if (bias != null && bias.length != rows) {
            throw new InvalidDataException(
                    "The bias of " + matrix + " has " + bias.length + " entries for " + rows + " rows.");
        }
        int bad = bias == null ? -1 : Finite.firstNot(bias, 0, rows);
        if (bad >= 0) {
            throw new InvalidDataException("The bias of " + matrix + " holds " + bias[bad] + " at index " + bad
                    + "; only finite numbers can be used.");
        }
    }
}
