package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.check.FiniteCheck;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/**
 * What meets the softmax at T positions of a text: hidden states, T x D, and optionally the tokens that followed.
 *
 * <p>An instance that a file was opened for owns the mapping; slices of it share that and must not outlive it.
 */
public final class HiddenStates implements AutoCloseable {
    private final String where;
    private final Safetensors owner;
    private final Matrix hidden;
    private final int[] targets;

    private HiddenStates(String where, Safetensors owner, Matrix hidden, int[] targets) {
        this.where = where;
        this.owner = owner;
        this.hidden = hidden;
        this.targets = targets;
    }

    /**
     * Opens a safetensors file with {@code hidden} [T, D] of F32, F16 or BF16 and, if wanted, {@code targets} [T] of I32 or
     * I64. The numbers are not looked at before {@link #require}.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a well-formed safetensors file
     * @throws InvalidDataException if a tensor is missing or has the wrong type or shape
     */
    public static HiddenStates open(Path file) {
        Safetensors tensors = Safetensors.open(file);
        try {
            String where = Wording.file(file);
            Matrix hidden = tensors.require("hidden").matrix(where);
            int[] targets = tensors.find("targets")
                    .map(t -> readTargets(where, t, hidden.rows()))
                    .orElse(null);
            return new HiddenStates(where, tensors, hidden, targets);
        } catch (Throwable e) {
            tensors.close();
            throw e;
        }
    }

    /**
     * Hidden states in memory.
     *
     * @param targets one token per row of {@code hidden}, or {@code null}
     */
    public static HiddenStates of(Matrix hidden, int[] targets) {
        requireLength(hidden.name(), targets == null ? hidden.rows() : targets.length, hidden.rows());
        return new HiddenStates(hidden.name(), null, hidden, targets);
    }

    private static int[] readTargets(String where, Tensor targets, int rows) {
        if (targets.shape().length != 1) {
            throw new InvalidDataException(where + ": tensor \"targets\" has shape " + Wording.shape(targets.shape())
                    + "; one token per hidden state, shape [" + rows + "], is needed.");
        }
        requireLength(where, targets.elements(), rows);
        try {
            return targets.ints();
        } catch (InvalidDataException e) {
            throw new InvalidDataException(where + ": " + e.getMessage(), e);
        }
    }

    private static void requireLength(String where, long targets, int rows) {
        if (targets != rows) {
            throw new InvalidDataException(
                    where + " has " + rows + " hidden states but " + targets + " targets; give one target for each.");
        }
    }

    /** T x D. */
    public Matrix hidden() {
        return hidden;
    }

    /** The token that followed at each of T positions, or {@code null}; callers must not write to it. */
    public int[] targets() {
        return targets;
    }

    /**
     * Positions {@code from} to {@code to}, exclusive, without copying hidden states. Closing a slice does nothing.
     *
     * @throws IndexOutOfBoundsException if these are not positions of this text, or none
     */
    public HiddenStates slice(int from, int to) {
        Objects.checkFromToIndex(from, to, hidden.rows());
        Objects.checkIndex(from, to);
        Matrix part = hidden.slice(from, to - from);
        return new HiddenStates(where, null, part, targets == null ? null : Arrays.copyOfRange(targets, from, to));
    }

    /**
     * Checks that these hidden states can meet a matrix.
     *
     * @param columns D of the matrix
     * @param vocabulary N of the matrix
     * @throws InvalidDataException if the width differs, a target is no row of the matrix, or a number is not finite
     */
    public void require(int columns, int vocabulary) {
        if (hidden.columns() != columns) {
            throw new InvalidDataException(where + " has hidden states of width " + hidden.columns()
                    + " but the matrix has " + columns + " columns; take the hidden states of the same model.");
        }
        for (int i = 0; targets != null && i < targets.length; i++) {
            if (targets[i] < 0 || targets[i] >= vocabulary) {
                throw new InvalidDataException(where + " has the target " + targets[i] + " at index " + i
                        + ", but the matrix has only rows 0 to " + (vocabulary - 1) + ".");
            }
        }
        FiniteCheck.requireFinite(hidden, hidden.name());
    }

    /** Unmaps the file if this instance opened one; may be called again. */
    @Override
    public void close() {
        if (owner != null) {
            owner.close();
        }
    }
}
