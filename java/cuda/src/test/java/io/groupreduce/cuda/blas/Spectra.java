package io.groupreduce.cuda.blas;

import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;

/** Spectra that the solvers meet, and some that they rather would not. */
final class Spectra {
    private Spectra() {}

    static double[] of(int order, IntToDoubleFunction value) {
        double[] values = new double[order];
        for (int j = 0; j < order; j++) {
            values[j] = value.applyAsDouble(j);
        }
        return values;
    }

    /** {@code (j + 1)^-exponent}. */
    static double[] power(int order, double exponent) {
        return of(order, j -> Math.pow(j + 1, -exponent));
    }

    static double[] exponential(int order, double length) {
        return of(order, j -> Math.exp(-j / length));
    }

    /** All within one per cent. */
    static double[] flat(int order) {
        SplittableRandom random = new SplittableRandom(order);
        return of(order, j -> 5 + 0.05 * random.nextDouble());
    }

    /** The first {@code count} equal, the others a tenth. */
    static double[] step(int order, int count) {
        return of(order, j -> j < count ? 2 : 0.2);
    }

    /** {@code count} directions and nothing else. */
    static double[] lowRank(int order, int count) {
        return of(order, j -> j < count ? 3.0 / (j + 1) : 0);
    }
}
