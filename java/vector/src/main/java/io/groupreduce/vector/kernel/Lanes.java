package io.groupreduce.vector.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector shape of this machine and the block sizes that follow from it; all are constants to the compiler.
 */
public final class Lanes {
    public static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;

    /** Floats in a vector. */
    public static final int LANES = FLOATS.length();

    /** Whether there are 32 vector registers (AVX-512, AArch64) and not 16. */
    public static final boolean WIDE =
            FLOATS.vectorBitSize() >= 512 || System.getProperty("os.arch").equals("aarch64");

    /** Rows of the block a micro-kernel computes. */
    public static final int MR = 6;

    /** Columns of that block: 4 vectors or 2. */
    public static final int NR = LANES * (WIDE ? 4 : 2);

    /** Steps of the inner dimension between two visits to C: NR columns of B fit the second-level cache. */
    public static final int KC = 512;

    private Lanes() {}

    /** {@code rows} rounded up to whole micro-kernel blocks. */
    public static int padRows(int rows) {
        return Math.ceilDiv(rows, MR) * MR;
    }

    /** {@code columns} rounded up to whole panels. */
    public static int padColumns(int columns) {
        return Math.ceilDiv(columns, NR) * NR;
    }

    /** Rows of a tile so that {@code width} numbers a row make about {@code floats}: whole blocks, 24 to 240. */
    public static int tileRows(int floats, int width) {
        return Math.clamp(floats / width, 24, 240) / MR * MR;
    }

    /**
     * {@code sum values[from .. from + count)^2} in an order that depends on {@code count} alone.
     *
     * @param scratch room for LANES numbers
     */
    public static float squares(float[] values, int from, int count, float[] scratch) {
        int whole = FLOATS.loopBound(count);
        FloatVector even = FloatVector.zero(FLOATS);
        FloatVector odd = even;
        int j = 0;
        for (; j + LANES < whole; j += 2 * LANES) {
            FloatVector x = FloatVector.fromArray(FLOATS, values, from + j);
            FloatVector y = FloatVector.fromArray(FLOATS, values, from + j + LANES);
            even = x.fma(x, even);
            odd = y.fma(y, odd);
        }
        if (j < whole) {
            FloatVector x = FloatVector.fromArray(FLOATS, values, from + j);
            even = x.fma(x, even);
        }
        float tail = 0;
        for (j = whole; j < count; j++) {
            tail = Math.fma(values[from + j], values[from + j], tail);
        }
        return whole == 0 ? tail : sum(even.add(odd), scratch) + tail;
    }

    /**
     * The largest magnitude among {@code values[from .. from + count)}.
     *
     * @param scratch room for LANES numbers
     */
    public static float largest(float[] values, int from, int count, float[] scratch) {
        FloatVector most = FloatVector.zero(FLOATS);
        int j = 0;
        for (; j + LANES <= count; j += LANES) {
            most = most.max(FloatVector.fromArray(FLOATS, values, from + j).abs());
        }
        most.intoArray(scratch, 0);
        float largest = 0;
        for (float lane : scratch) {
            largest = Math.max(largest, lane);
        }
        for (; j < count; j++) {
            largest = Math.max(largest, Math.abs(values[from + j]));
        }
        return largest;
    }

    /** {@code target[to + j] = factor * source[from + j]} for {@code j < count}. */
    public static void scale(float[] source, int from, int count, float factor, float[] target, int to) {
        int j = 0;
        for (; j + LANES <= count; j += LANES) {
            FloatVector.fromArray(FLOATS, source, from + j).mul(factor).intoArray(target, to + j);
        }
        for (; j < count; j++) {
            target[to + j] = source[from + j] * factor;
        }
    }

    /**
     * The sum of all lanes, pairwise and always in the same order. {@code reduceLanes(ADD)} leaves the order open, and then
     * interpreted and compiled code differ in the last bit.
     */
    public static float sum(FloatVector vector, float[] scratch) {
        vector.intoArray(scratch, 0);
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int j = 0; j < half; j++) {
                scratch[j] += scratch[j + half];
            }
        }
        return scratch[0];
    }
}
