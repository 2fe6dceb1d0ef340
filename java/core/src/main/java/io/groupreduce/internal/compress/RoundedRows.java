package io.groupreduce.internal.compress;

import io.groupreduce.internal.packed.Census;
import io.groupreduce.internal.packed.CoordinateModel;
import io.groupreduce.matrix.ScaleFormat;
import java.util.Arrays;

/**
 * Rows rounded to whole numbers of their steps, one after the other, and what they come to. A row is kept up to the first of a few levels
 * beyond which there is nothing, or only lone numbers that are not worth their bits.
 */
final class RoundedRows {
    /** Steps are bytes of {@link ScaleFormat#LOG8}, half an octave apart: whole octaves lose 5 % more, quarters 0.5 % less. */
    static final int STEP = 4;

    /** The coarsest step. */
    static final int LARGEST_STEP = 252;

    /** Keys of rows lie below. */
    static final int KEYS = 256 * 256;

    /** The largest whole number of steps that INT8 has. */
    static final int LARGEST = 127;

    /**
     * What a magnitude in steps is raised by before it is cut to a whole number: zero is a little wider than the other cells. Measured best in
     * KL; 0.3 to 0.38 lose no less and raise it. Choosing each number by its bits lowers KL by another 1 %.
     */
    static final float ROUNDING = 0.44f;

    /** One number among so many is a lone one. */
    private static final int LONE = 24;

    /** What a lone number must bring, in squared steps: its bits, at what a bit brings elsewhere. */
    private static final double WORTH = 0.8;

    private final int[] levels;
    private final int[] deviations;
    private final int rank;
    private final Census census = new Census();
    private final int[] keys;
    private final float[] gains;
    private final double[] energies;
    private final double[] errors;
    private byte[] codes;
    private int used;
    private int added;
    private int raised;

    /**
     * No rows yet.
     *
     * @param rows how many there will be
     * @param levels lengths of rows, rising from 0 to the rank
     * @param deviations of the directions, bytes of {@link ScaleFormat#LOG8}
     */
    RoundedRows(int rows, int[] levels, int[] deviations) {
        this.levels = levels;
        this.deviations = deviations;
        rank = deviations.length;
        keys = new int[rows];
        gains = new float[rows];
        energies = new double[rank];
        errors = new double[rank];
        codes = new byte[rank + rows * rank / 4];
    }

    /**
     * Rounds a row and counts its symbols.
     *
     * @param y its coordinates, from {@code from} on
     * @param wanted a step, a byte of {@link ScaleFormat#LOG8}; one so small that codes would not hold the row is raised
     * @param model that symbols are counted under
     * @param gainOf by key, the gain of a group's rows
     */
    void add(float[] y, int from, double weight, int wanted, CoordinateModel model, byte[] gainOf) {
        int step = held(y, from, wanted);
        raised += step > wanted ? 1 : 0;
        if (codes.length < used + rank) {
            codes = Arrays.copyOf(codes, 2 * codes.length + rank);
        }
        float size = ScaleFormat.log8(step);
        float inverse = 1 / size;
        int last = -1;
        for (int j = 0; j < rank; j++) {
            float value = y[from + j];
            int magnitude = Math.min(LARGEST, (int) (Math.abs(value) * inverse + ROUNDING));
            int code = value < 0 ? -magnitude : magnitude;
            codes[used + j] = (byte) code;
            last = magnitude > 0 ? j : last;
        }
        // A raised step is rare: that it makes one group, not one of every length, keeps their number small.
        int level = step > wanted ? levels.length - 1 : level(last, y, from, size);
        int length = levels[level];
        for (int j = 0; j < rank; j++) {
            float kept = j < length ? codes[used + j] * size : 0;
            float error = y[from + j] - kept;
            energies[j] += weight * kept * kept;
            errors[j] += weight * error * error;
        }
        int key = level == 0 ? 0 : step << 8 | level;
        keys[added] = key;
        gains[added++] = gain(y, from, length);
        model.walk(codes, used, length, deviations, step - gainOf[key], census);
        used += length;
    }

    /** The first step from {@code wanted} on whose codes hold a row. */
    private int held(float[] y, int from, int wanted) {
        float largest = 0;
        for (int j = 0; j < rank; j++) {
            largest = Math.max(largest, Math.abs(y[from + j]));
        }
        int step = wanted;
        while (step < LARGEST_STEP && largest > LARGEST * ScaleFormat.log8(step)) {
            step += STEP;
        }
        return step;
    }

    /** The shortest level that only lone numbers lie beyond which are not worth their bits; {@code last} is the last number not zero. */
    private int level(int last, float[] y, int from, float size) {
        int level = 0;
        while (levels[level] <= last) {
            level++;
        }
        for (; level > 0; level--) {
            int count = 0;
            double gain = 0;
            for (int j = levels[level - 1]; j < levels[level]; j++) {
                int code = codes[used + j];
                if (code != 0) {
                    double value = y[from + j] / size;
                    count++;
                    gain += value * value - (value - code) * (value - code);
                }
            }
            if (count * LONE > levels[level] - levels[level - 1] || gain > WORTH * count) {
                break;
            }
        }
        return level;
    }

    /** How much larger coordinates are than directions tell, in eighths of an octave. */
    private float gain(float[] y, int from, int length) {
        double sum = 0;
        for (int j = 0; j < length; j++) {
            double relative = y[from + j] / ScaleFormat.log8(deviations[j]);
            sum += relative * relative;
        }
        return sum > 0 ? (float) (4 * Math.log(sum / length) / Math.log(2)) : 0;
    }

    /** By row, how much larger it is than its directions tell, in eighths of an octave. */
    float[] gains() {
        return gains;
    }

    /** By row, its step times 256 and the number of its level; 0 for rows of zeros. */
    int[] keys() {
        return keys;
    }

    /** The codes of all rows, each as long as its level. */
    byte[] codes() {
        return codes;
    }

    Census census() {
        return census;
    }

    /** By direction, the weighted energy of what is kept. */
    double[] energies() {
        return energies;
    }

    /** By direction, the weighted energy of what is lost. */
    double[] errors() {
        return errors;
    }

    /** Rows whose step was raised. */
    int raised() {
        return raised;
    }

    /** Gives back room that no row took. */
    void trim() {
        codes = Arrays.copyOf(codes, used);
    }
}
