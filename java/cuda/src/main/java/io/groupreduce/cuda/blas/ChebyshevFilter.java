package io.groupreduce.cuda.blas;

import java.util.Arrays;

/**
 * The polynomial {@code T_m(2 t / bound - 1)} of a matrix, T_m Chebyshev's: at most 1 in size on the unwanted
 * eigenvalues 0 to {@code bound}, and above them it grows faster than any other polynomial of its degree (Zhou, Saad,
 * Tiago and Chelikowsky 2006).
 *
 * <p>The degree is bounded by rounding: a block vector that holds an impurity e of the first eigenvector holds {@code e
 * T_m(lambda_1)} of it afterwards, beside its own direction, and where that is too much the block can no longer be
 * orthonormalised well.
 *
 * @param bound above 0, except for a zero matrix
 * @param degree m, from 1 to {@link #MAX_DEGREE}
 */
record ChebyshevFilter(double bound, int degree) {
    static final int MAX_DEGREE = 24;

    /** What an impurity may grow to, relative to the slowest growing direction. */
    private static final double GROWTH = 1e6;

    /** Below this part of the last wanted eigenvalue, eigenvalues are unwanted even if the block holds them. */
    private static final double UNWANTED = 0.8;

    /**
     * Above this part of the last wanted eigenvalue, none is unwanted: where the whole block is of one eigenvalue, a
     * bound at it would leave what lies below undamped.
     */
    private static final double WANTED = 0.995;

    /** A vector is never purer than this. */
    private static final double ROUNDING = 1e-14;

    /** Eigenvalues below this part of the first one are rounding. */
    static final double NEGLIGIBLE = 1e-12;

    /** For random vectors and unknown eigenvalues: those below their mean are unwanted. */
    static ChebyshevFilter cold(double trace, int order) {
        return new ChebyshevFilter(Math.max(0, trace) / order, 2);
    }

    /**
     * For the vectors of a similar matrix.
     *
     * @param values estimates of the block's eigenvalues, descending
     */
    static ChebyshevFilter warm(double[] values, int rank) {
        double[] impurities = new double[values.length];
        Arrays.fill(impurities, 1);
        return of(values, impurities, rank);
    }

    /**
     * For Ritz vectors.
     *
     * @param values Ritz values, descending
     * @param squares the squared lengths of their residuals
     */
    static ChebyshevFilter after(double[] values, double[] squares, int rank) {
        double bound = bound(values, rank);
        double[] impurities = new double[values.length];
        for (int j = 0; j < values.length; j++) {
            impurities[j] = Math.max(ROUNDING, Math.sqrt(squares[j]) / Math.max(values[j], bound));
        }
        return of(values, impurities, rank);
    }

    /** {@code 2 / bound}: what the matrix is multiplied by before the identity is subtracted. */
    double factor() {
        return bound > Double.MIN_NORMAL ? 2 / bound : 0;
    }

    private static ChebyshevFilter of(double[] values, double[] impurities, int rank) {
        double bound = bound(values, rank);
        int degree = MAX_DEGREE;
        for (int j = 0; j < values.length && values[j] > bound; j++) {
            degree = Math.min(degree, degree(2 * values[j] / bound - 1, GROWTH / impurities[j], degree));
        }
        return new ChebyshevFilter(bound, degree);
    }

    private static double bound(double[] values, int rank) {
        double last = values[rank - 1];
        double bound = Math.min(WANTED * last, Math.max(UNWANTED * last, values[values.length - 1]));
        return Math.max(0, Math.max(bound, NEGLIGIBLE * values[0]));
    }

    /**
     * The highest degree up to {@code most} with {@code T_m(top) <= growth}, but at least 1. By the recurrence, which
     * rounds everywhere alike.
     */
    private static int degree(double top, double growth, int most) {
        double before = 1;
        double now = top;
        for (int m = 1; m < most; m++) {
            double next = 2 * top * now - before;
            if (!(next <= growth)) {
                return m;
            }
            before = now;
            now = next;
        }
        return most;
    }
}
