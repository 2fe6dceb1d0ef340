package io.groupreduce.internal.compress;

import io.groupreduce.internal.packed.Census;
import io.groupreduce.internal.packed.CoordinateModel;
import io.groupreduce.internal.packed.PackedRight;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.HeaderShare;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.StoredPart;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/**
 * A right factor rounded to whole numbers of steps, a step for each of its rows: an error of row k counts the energy of all coordinates of
 * direction k, so {@code step_k ~ 1 / sqrt(energy_k)}, as rows' steps follow their weights.
 */
final class RoundedRight {
    /** What a step is raised by until codes hold its row. */
    private static final float RAISE = (float) Math.sqrt(2);

    private final byte[] codes;
    private final float[] steps;
    /** By row, the logarithm of the deviation in steps, in eighths of an octave. */
    private final byte[] deviations;

    private final int columns;

    /**
     * Rounds.
     *
     * @param right rank x D, row-major
     * @param energies by row, {@code sum_i w_i L_ik^2}; where there is none the row becomes zeros
     * @param step for a row of energy 1
     */
    RoundedRight(double[] right, double[] energies, double step, int columns) {
        int rank = right.length / columns;
        this.columns = columns;
        codes = new byte[right.length];
        steps = new float[rank];
        deviations = new byte[rank];
        for (int k = 0; k < rank; k++) {
            if (energies[k] > 0) {
                round(right, k, step / Math.sqrt(energies[k]));
            }
        }
    }

    private void round(double[] right, int k, double wanted) {
        double largest = 0;
        double squares = 0;
        for (int j = k * columns; j < (k + 1) * columns; j++) {
            largest = Math.max(largest, Math.abs(right[j]));
            squares += right[j] * right[j];
        }
        double size = wanted;
        while (largest > RoundedRows.LARGEST * size) {
            size *= RAISE;
        }
        steps[k] = Bf16.widen(Bf16.roundUp((float) size));
        double deviation =
                4 * Math.log(Math.max(squares / columns, Double.MIN_NORMAL) / steps[k] / steps[k]) / Math.log(2);
        deviations[k] = (byte) Math.clamp(Math.round(deviation), Byte.MIN_VALUE, Byte.MAX_VALUE);
        boolean empty = true;
        for (int j = k * columns; j < (k + 1) * columns; j++) {
            int magnitude = Math.min(RoundedRows.LARGEST, (int) (Math.abs(right[j]) / steps[k] + RoundedRows.ROUNDING));
            codes[j] = (byte) (right[j] < 0 ? -magnitude : magnitude);
            empty &= magnitude == 0;
        }
        if (empty) {
            steps[k] = 0;
        }
    }

    /** What describing one takes of the header. */
    static long described(int rank, int columns) {
        BitProfile profile = BitProfile.of(Codec.INT8, columns);
        return HeaderShare.part(new StoredPart(Integer.toString(rank), profile, columns, ScaleFormat.BF16));
    }

    /** What packing takes. */
    Census census(CoordinateModel model) {
        Census census = new Census();
        int[] flat = new int[columns];
        for (int k = 0; k < steps.length; k++) {
            model.walk(codes, k * columns, columns, flat, -deviations[k], census);
        }
        return census;
    }

    /** What a file stores. */
    byte[] packed(CoordinateModel model) {
        return PackedRight.pack(codes, steps, deviations, model);
    }

    /** Whether nothing is left of it. */
    boolean isEmpty() {
        for (float step : steps) {
            if (step > 0) {
                return false;
            }
        }
        return true;
    }

    /** As rows of INT8. */
    EncodedMatrix stored(Arena arena) {
        EncodedMatrix stored = EncodedMatrix.allocate(
                arena, BitProfile.of(Codec.INT8, columns), steps.length, columns, ScaleFormat.BF16);
        for (int k = 0; k < steps.length; k++) {
            stored.storeScale(k, 0, steps[k]);
        }
        for (int j = 0; j < codes.length; j++) {
            stored.data().set(ValueLayout.JAVA_BYTE, j, (byte) (codes[j] + 128));
        }
        return stored;
    }
}
