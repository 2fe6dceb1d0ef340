package io.groupreduce.vector.kernel;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;

/** Vector operations in double precision. Ranges of one array must not overlap, which the compiler cannot know. */
public final class Doubles {
    private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_PREFERRED;

    private Doubles() {}

    /** {@code target[at + j] += times * source[from + j]} for {@code j < length}. */
    public static void add(double[] target, int at, double times, double[] source, int from, int length) {
        DoubleVector factor = DoubleVector.broadcast(DOUBLES, times);
        int whole = DOUBLES.loopBound(length);
        int j = 0;
        for (; j < whole; j += DOUBLES.length()) {
            DoubleVector.fromArray(DOUBLES, source, from + j)
                    .fma(factor, DoubleVector.fromArray(DOUBLES, target, at + j))
                    .intoArray(target, at + j);
        }
        for (; j < length; j++) {
            target[at + j] = Math.fma(times, source[from + j], target[at + j]);
        }
    }

    /**
     * One row of a product: {@code c[c0 .. c0 + columns) = sum over k < depth of a[a0 + k] * b[k, :]}, k ascending.
     *
     * @param b depth x columns, row-major
     */
    public static void combineRows(double[] a, int a0, int depth, double[] b, int columns, double[] c, int c0) {
        for (int k = 0; k < depth; k++) {
            add(c, c0, a[a0 + k], b, k * columns, columns);
        }
    }
}
