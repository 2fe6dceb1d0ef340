package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * The leading eigenpairs of a symmetric positive semidefinite matrix G, D x D, by subspace iteration.
 *
 * <p>A block X of a few more vectors than asked for is filtered by a Chebyshev polynomial of G, which is small where the
 * unwanted eigenvalues lie and grows fast above them; orthonormalised; and rotated to Ritz vectors by the eigenvectors of the
 * small matrix X G X^T (Rayleigh-Ritz, in double). It ends when the residuals tell that nearly all of the energy that
 * leading eigenvectors can capture is captured.
 *
 * <p>Products are in single precision: their errors are about 1e-7 of the largest eigenvalue, far below what the captured
 * energy is asked to be exact to. Bytes: G packed once (4 D^2), read once for each of its products with the block; the block
 * and three of its like, 4 count D each. Never materialised: the other D - count eigenvectors.
 */
final class TruncatedEigen {
    /** Below this order the full decomposition takes milliseconds. */
    private static final int SMALL = 256;

    private static final int MAX_ROUNDS = 30;

    /** Products with G before the first Rayleigh-Ritz step when there is nothing to start from. */
    private static final int COLD_POWERS = 2;

    private static final int WARM_POWERS = 1;

    /** The part of the captured energy that may be missing. */
    private static final double MISSING = 3e-7;

    /**
     * How much of the first eigenvector the last vectors of a filtered block may hold, relative to what they should hold. A
     * filter of higher degree would drown them.
     */
    private static final double GROWTH = 100;

    /** Below this part of the last wanted eigenvalue, eigenvalues are unwanted even if the block holds them. */
    private static final double UNWANTED = 0.8;

    /** A vector is never purer than this. */
    private static final double ROUNDING = 1e-7;

    private static final int MAX_DEGREE = 12;
    private static final long SEED = 0x67726f7570L;

    private final Workers workers;
    private final PackedMatrix matrix;
    private final int columns;
    private final int stride;
    private final int rank;
    private final int count;
    private final SplittableRandom random = new SplittableRandom(SEED);
    private final Orthonormal orthonormal;
    private float[] x;
    private float[] y;
    private float[] spare;
    private float[] other;
    private double[] values;

    private TruncatedEigen(Workers workers, PackedMatrix matrix, int rank, float[] guess) {
        this.workers = workers;
        this.matrix = matrix;
        this.rank = rank;
        columns = matrix.columns();
        stride = Lanes.padColumns(columns);
        count = Math.min(columns, rank + surplus(rank));
        orthonormal = new Orthonormal(workers, count, columns, stride, random);
        int room = Lanes.padRows(count) * stride;
        x = new float[room];
        y = new float[room];
        spare = new float[room];
        other = new float[room];
        start(guess);
    }

    /**
     * Whether to prefer this to a full decomposition. Measured at D = 1,024: as fast at 0.45 D block vectors from a random
     * start and at about 0.6 D from the vectors of a similar matrix.
     */
    static boolean pays(int columns, int rank, boolean warm) {
        return columns > SMALL && rank + surplus(rank) <= columns * (warm ? 0.6 : 0.45);
    }

    private static int surplus(int rank) {
        return 16 + rank / 8;
    }

    /**
     * Finds the leading eigenpairs.
     *
     * @param matrix G, of a size that single precision can hold
     * @param guess vectors to start from, any number of rows of length D, {@code null} for none
     */
    static Eigenpairs of(Workers workers, PackedMatrix matrix, int rank, float[] guess) {
        return new TruncatedEigen(workers, matrix, rank, guess).run();
    }

    /** The given vectors, and random ones, so that no direction is missing; then a power of G. */
    private void start(float[] guess) {
        int given = guess == null ? 0 : Math.min(guess.length / columns, count - surplus(rank) / 2);
        for (int r = 0; r < count; r++) {
            if (r < given) {
                System.arraycopy(guess, r * columns, x, r * stride, columns);
            } else {
                orthonormal.randomize(x, r);
            }
        }
        orthonormalize();
        multiply(x, y);
        int powers = given < rank ? COLD_POWERS : WARM_POWERS;
        for (int power = 0; power < powers; power++) {
            swapXY();
            orthonormalize();
            multiply(x, y);
        }
    }

    private Eigenpairs run() {
        rotate();
        for (int round = 0; round < MAX_ROUNDS && missing() > MISSING * captured(); round++) {
            filter();
            orthonormalize();
            multiply(x, y);
            rotate();
        }
        double[] leading = new double[rank];
        for (int j = 0; j < rank; j++) {
            leading[j] = Math.max(0, values[j]);
        }
        float[] vectors = new float[rank * columns];
        for (int j = 0; j < rank; j++) {
            System.arraycopy(x, j * stride, vectors, j * columns, columns);
        }
        return new Eigenpairs(leading, vectors);
    }

    /**
     * An estimate of the energy that the leading Ritz vectors miss: the residual r = G x - theta x of a Ritz pair means an
     * error of its value of about |r|^2 / theta, unless the direction missed is a neighbour of equal worth.
     */
    private double missing() {
        double sum = 0;
        for (int j = 0; j < rank; j++) {
            if (values[j] > 0) {
                sum += residual(j) / values[j];
            }
        }
        return sum;
    }

    /** The squared length of the residual of Ritz pair j. */
    private double residual(int j) {
        double sum = 0;
        float value = (float) values[j];
        for (int at = j * stride; at < j * stride + columns; at++) {
            float r = y[at] - value * x[at];
            sum += r * r;
        }
        return sum;
    }

    private double captured() {
        double sum = 0;
        for (int j = 0; j < rank; j++) {
            sum += Math.max(0, values[j]);
        }
        return sum;
    }

    /**
     * X becomes T_m(2 G / bound - 1) X, T_m the Chebyshev polynomial, where [0, bound] holds the unwanted eigenvalues; or X G
     * when eigenvalues span so much that a power does as well. Y must be X G.
     */
    private void filter() {
        double bound = Math.max(values[count - 1], UNWANTED * values[rank - 1]);
        double impurity = Math.max(ROUNDING, Math.sqrt(residual(0)) / values[0]);
        int degree = bound > 0 ? degree(2 * values[0] / bound - 1, GROWTH / impurity) : 1;
        if (degree > 1) {
            // x, y hold T_0 X and T_1 X, then each time the last two.
            combine(y, (float) (2 / bound), x, -1, x, 0);
        }
        for (int m = 2; m <= degree; m++) {
            multiply(y, spare);
            combine(spare, (float) (4 / bound), y, -2, x, -1);
            float[] swap = x;
            x = y;
            y = spare;
            spare = swap;
        }
        swapXY();
    }

    /** The highest degree with T_m(top) within {@code growth}. */
    private static int degree(double top, double growth) {
        double angle = Math.log(top + Math.sqrt(Math.max(0, top * top - 1)));
        return (int) Math.clamp(Math.log(2 * growth) / angle, 1, MAX_DEGREE);
    }

    /** {@code target = p target + q b + r c}. */
    private static void combine(float[] target, float p, float[] b, float q, float[] c, float r) {
        for (int j = 0; j < target.length; j++) {
            target[j] = p * target[j] + q * b[j] + r * c[j];
        }
    }

    private void swapXY() {
        float[] swap = x;
        x = y;
        y = swap;
    }

    /** {@code to = from G}. */
    private void multiply(float[] from, float[] to) {
        Gemm.multiply(workers, from, stride, count, matrix, to, stride);
    }

    private void orthonormalize() {
        float[] result = orthonormal.apply(x, spare);
        if (result == spare) {
            spare = x;
            x = result;
        }
    }

    /** X becomes the Ritz vectors, Y their products with G; {@link #values} their Ritz values. */
    private void rotate() {
        int smallStride = Lanes.padColumns(count);
        float[] small = new float[Lanes.padRows(count) * smallStride];
        Gemm.multiply(
                workers, x, stride, count, PackedMatrix.ofTransposed(y, columns, count, stride), small, smallStride);
        double[] symmetric = new double[count * count];
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < count; j++) {
                symmetric[i * count + j] = small[i * smallStride + j];
            }
        }
        Eigenpairs eigen = FullEigen.of(workers, symmetric, count, count);
        values = eigen.values();
        float[] rotation = Arrays.copyOf(eigen.vectors(), Lanes.padRows(count) * count);
        Gemm.multiply(workers, rotation, count, count, PackedMatrix.of(x, count, columns, stride), spare, stride);
        Gemm.multiply(workers, rotation, count, count, PackedMatrix.of(y, count, columns, stride), other, stride);
        float[] oldX = x;
        float[] oldY = y;
        x = spare;
        y = other;
        spare = oldX;
        other = oldY;
    }
}
