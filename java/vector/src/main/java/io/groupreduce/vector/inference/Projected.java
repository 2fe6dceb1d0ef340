package io.groupreduce.vector.inference;

import io.groupreduce.vector.kernel.Lanes;

/**
 * A batch of hidden states and their coordinates in every basis; the last basis number stands for the hidden states themselves.
 * For a single state also what INT4 and the bounds need.
 */
final class Projected {
    final float[][] z;
    /**
     * One state, for INT4: of each pair of coordinates u, v of directions that share a byte, {@code (u - v / 16) / 2^TOP} and {@code v /
     * 16}, since the byte is used twice, once as a whole and once its lower half, see {@link TileKernel}.
     */
    final float[][] paired;

    private final StateProjection projection;
    private final int columns;
    private final double[][] squares;
    private final double[][] magnitudes;
    private int room;

    Projected(StateProjection projection, int columns) {
        this.projection = projection;
        this.columns = columns;
        int count = projection.bases() + 1;
        z = new float[count][];
        paired = new float[count][];
        squares = new double[count][];
        magnitudes = new double[count][];
    }

    /** Makes room for so many states. */
    void reserve(int states) {
        if (states <= room) {
            return;
        }
        room = states;
        for (int b = 0; b < z.length; b++) {
            z[b] = new float[Lanes.padRows(states) * stride(b) + Lanes.NR];
            paired[b] = new float[stride(b) + 2];
            squares[b] = new double[stride(b) + 2];
            magnitudes[b] = new double[stride(b) + 2];
        }
    }

    float[] hidden() {
        return z[z.length - 1];
    }

    /** The place of a group's coordinates. */
    int index(int basis) {
        return basis == PackedHead.HIDDEN ? z.length - 1 : basis;
    }

    /** Floats between one state and the next. */
    int stride(int index) {
        return index == z.length - 1 ? columns : projection.stride(index);
    }

    /** After a single state was projected: running sums over its coordinates. */
    void prepareSingle() {
        // An odd width is paired with what stands behind it, which an earlier batch may have left.
        hidden()[columns] = 0;
        for (int b = 0; b < z.length; b++) {
            for (int d = 0; d < stride(b); d++) {
                float value = z[b][d];
                squares[b][d + 1] = squares[b][d] + (double) value * value;
                magnitudes[b][d + 1] = magnitudes[b][d] + Math.abs(value);
            }
            for (int d = 0; d < stride(b); d += 2) {
                float second = d + 1 < stride(b) ? z[b][d + 1] * Codes.SECOND : 0;
                paired[b][d] = (z[b][d] - second) * Codes.FROM_TOP;
                paired[b][d + 1] = second;
            }
        }
    }

    /** At least the norm of z from direction {@code from} up to {@code to}. */
    float norm(int index, int from, int to) {
        double rest = Math.max(0, squares[index][to] - squares[index][from]);
        return Math.nextUp((float) Math.sqrt(rest + 1e-14 * squares[index][to]));
    }

    /** Whether the coordinates of a state are numbers in every basis; they are not where they left single precision. */
    boolean finite(int state) {
        for (int b = 0; b < z.length - 1; b++) {
            float sum = 0;
            int from = state * stride(b);
            for (int d = from; d < from + stride(b); d++) {
                // 0 times a number is 0, and times anything else is not a number.
                sum += z[b][d] * 0;
            }
            if (sum != 0) {
                return false;
            }
        }
        return true;
    }

    /** sum of |z| of the first {@code to} directions. */
    float magnitude(int index, int to) {
        return (float) magnitudes[index][to];
    }
}
