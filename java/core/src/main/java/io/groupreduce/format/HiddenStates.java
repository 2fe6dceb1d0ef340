package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;

/**
 * What meets the softmax at T positions of a text: hidden states, T x D, and optionally the tokens that followed. It owns the
 * mapped file that both come from.
 */
public final class HiddenStates implements AutoCloseable {
    private final Safetensors file;
    private final Matrix hidden;
    private final int[] targets;

    private HiddenStates(Safetensors file) {
        this.file = file;
        String where = Wording.file(file.path());
        hidden = file.require("hidden").matrix(where);
        targets = file.find("targets")
                .map(tensor -> readTargets(where, tensor, hidden.rows()))
                .orElse(null);
    }

    /**
     * Opens a safetensors file with {@code hidden} [T, D] of F32, F16 or BF16 and, if wanted, {@code targets} [T] of I32 or
     * I64. Whether the numbers are finite and fit a matrix is not looked at.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a well-formed safetensors file
     * @throws InvalidDataException if a tensor is missing or has the wrong type or shape
     */
    public static HiddenStates open(Path file) {
        Safetensors tensors = Safetensors.open(file);
        try {
            return new HiddenStates(tensors);
        } catch (Throwable e) {
            tensors.close();
            throw e;
        }
    }

    private static int[] readTargets(String where, Tensor targets, int rows) {
        if (targets.shape().length != 1) {
            throw new InvalidDataException(where + ": tensor \"targets\" has shape " + Wording.shape(targets.shape())
                    + "; one token per hidden state, shape [" + rows + "], is needed.");
        }
        if (targets.elements() != rows) {
            throw new InvalidDataException(where + " has " + rows + " hidden states but " + targets.elements()
                    + " targets; give one target for each.");
        }
        try {
            return targets.ints();
        } catch (InvalidDataException e) {
            throw new InvalidDataException(where + ": " + e.getMessage(), e);
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

    /** Unmaps the file; may be called again. */
    @Override
    public void close() {
        file.close();
    }
}
