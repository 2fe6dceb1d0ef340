package io.groupreduce.cuda.blas;

import java.util.Arrays;

/**
 * One matrix A on its way through {@link BlockKrylov}: where its blocks lie, the filter that comes next, and its Ritz
 * pairs.
 */
final class KrylovBasis {
    /** The part of the captured energy that may be missing. */
    private static final double MISSING = 1e-8;

    /** Residuals may understate the energy they miss. */
    private static final double MARGIN = 10;

    private final int index;
    private final int rank;
    private final long matrix;
    private final long target;
    private final double trace;
    private long shifted;
    private long x;
    private long y;
    private long spare;
    private ChebyshevFilter filter;
    private double[] values;
    private double[] squares;
    private int fresh;
    /** The energy that the next round may capture without a new direction; nothing before the first. */
    private double explicable = Double.NEGATIVE_INFINITY;

    /**
     * @param index its number in the caller's list
     * @param rank how many eigenpairs are wanted
     * @param matrix the address of A, D x D, both triangles
     * @param target where the eigenvectors go
     */
    KrylovBasis(int index, int rank, long matrix, long target, double trace) {
        this.index = index;
        this.rank = rank;
        this.matrix = matrix;
        this.target = target;
        this.trace = trace;
    }

    int index() {
        return index;
    }

    int rank() {
        return rank;
    }

    long matrix() {
        return matrix;
    }

    long target() {
        return target;
    }

    double trace() {
        return trace;
    }

    /** Room for {@code f A - I}. */
    long shifted() {
        return shifted;
    }

    /** The block X. */
    long x() {
        return x;
    }

    /** Another block: what the filter alternates with, then A X. */
    long y() {
        return y;
    }

    long spare() {
        return spare;
    }

    ChebyshevFilter filter() {
        return filter;
    }

    void filter(ChebyshevFilter next) {
        filter = next;
    }

    /**
     * How many of the block's least vectors, its first, are replaced by random ones before each filter; 0 after a
     * random start.
     */
    int fresh() {
        return fresh;
    }

    void fresh(int count) {
        fresh = count;
    }

    /** Gives it memory. */
    void place(long shiftedAddress, long first, long second, long third) {
        shifted = shiftedAddress;
        x = first;
        y = second;
        spare = third;
    }

    /** After an odd number of filter steps the result lies in y. */
    void filtered() {
        if (filter.degree() % 2 == 1) {
            long before = x;
            x = y;
            y = before;
        }
    }

    /** After the rotation the Ritz vectors lie in the spare block, and A times them where X was. */
    void rotated(double[] ritzValues, double[] residualSquares) {
        long before = y;
        y = x;
        x = spare;
        spare = before;
        values = ritzValues;
        squares = residualSquares;
    }

    /** Ritz values of the whole block, descending. */
    double[] values() {
        return values;
    }

    /** The filter that these Ritz pairs ask for, of which the last {@link #fresh} will be replaced. */
    void refine() {
        int stay = values.length - fresh;
        filter = ChebyshevFilter.after(Arrays.copyOf(values, stay), Arrays.copyOf(squares, stay), rank);
    }

    /**
     * Whether nearly all the energy that {@code rank} vectors can capture is captured: the residual r of a Ritz pair
     * theta, x means an error of its value of about |r|^2 / theta, unless the direction missed is a neighbour of nearly
     * equal worth. To be called once a round.
     *
     * <p>No residual tells of a direction that the whole block is orthogonal to. After a random start there is none.
     * After a warm one, fresh vectors look for it each round, and as long as one is found the captured energy grows by
     * more than the residuals explain.
     */
    boolean converged() {
        if (values[0] <= 0) {
            return trace == 0;
        }
        double missing = 0;
        double captured = 0;
        for (int j = 0; j < rank; j++) {
            if (values[j] > ChebyshevFilter.NEGLIGIBLE * values[0]) {
                missing += squares[j] / values[j];
                captured += values[j];
            }
        }
        boolean explained = fresh == 0 || captured <= explicable;
        explicable = captured + MISSING * captured + MARGIN * missing;
        return missing <= MISSING * captured && explained;
    }
}
