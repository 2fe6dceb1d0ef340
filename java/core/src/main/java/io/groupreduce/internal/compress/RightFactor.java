package io.groupreduce.internal.compress;

import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.matrix.Codec;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.util.Arrays;

/**
 * The right factor that fits stored left factors best, and the directions it spans. Coordinates that a row does not keep
 * follow in part from those it keeps, and rounded coordinates are a little short: least squares gives both back, without a
 * byte.
 */
final class RightFactor {
    /** Relative to the mean of the Gram matrix's diagonal: a direction that hardly any row uses stays finite. */
    private static final double RIDGE = 1e-7;

    private RightFactor() {}

    /**
     * argmin over R of sum_i w_i ||(A_i - L_i R) S||^2: whatever S, the solution of (L^T W L + ridge) R = L^T W A. Rows are rounded
     * afterwards, each by a part e of its energy: sum_j e ||R_j||^2 (L^T W L)_jj is lost by that on average, which is a ridge too.
     *
     * @param codec that rows will be stored in
     * @return k x D row-major
     */
    static double[] fit(DenseAlgebra algebra, NormalEquations equations, int columns, Codec codec) {
        int k = equations.rank();
        double[] gram = equations.gram().clone();
        double trace = 0;
        for (int j = 0; j < k; j++) {
            trace += gram[j * k + j];
        }
        for (int j = 0; j < k; j++) {
            gram[j * k + j] += rounding(codec) * gram[j * k + j] + RIDGE * trace / k + Double.MIN_NORMAL;
        }
        algebra.cholesky(gram, k);
        double[] right = equations.cross().clone();
        algebra.forward(gram, k, right, columns);
        algebra.backward(gram, k, right, columns);
        return right;
    }

    /** The part of its energy that a row of normal numbers loses in a codec, with a scale a block. */
    static double rounding(Codec codec) {
        return switch (codec) {
            case INT3 -> 3.3e-2;
            case INT4 -> 9e-3;
            case INT6 -> 6e-4;
            case INT8 -> 3.8e-5;
            case BF16 -> 2.8e-6;
            case F32 -> 0;
        };
    }

    /** The first rows of the right factor that undoes a basis's scaled coordinates, k x D row-major. */
    static double[] of(Directions basis, int rank, int columns) {
        double[] right = new double[rank * columns];
        for (int k = 0; k < rank; k++) {
            float scale = basis.scales() == null ? 1 : basis.scales()[k];
            for (int j = 0; j < columns; j++) {
                right[k * columns + j] = (double) basis.right()[k * columns + j] / scale;
            }
        }
        return right;
    }

    /**
     * The directions that the rows of a right factor span, one after the other: q_0 that of its first row, q_0 and q_1 that of
     * its first two, so that a prefix of coordinates means what it meant.
     *
     * @param right k x D, finite
     * @param metric S; {@code null} is the identity
     * @param scales of the directions, length k at least
     */
    static Directions directions(
            DenseAlgebra algebra, double[] right, int rank, int columns, MetricRoot metric, float[] scales) {
        double[] q = metric == null ? right.clone() : algebra.multiply(right, rank, columns, metric.root());
        for (int j = 0; j < rank; j++) {
            normalise(q, j * columns, columns);
        }
        // Twice is enough: the second pass takes away what rounding left in the first (Parlett's "twice is enough").
        for (int pass = 0; pass < 2; pass++) {
            double[] gram = algebra.outer(q, rank, columns);
            algebra.cholesky(gram, rank);
            algebra.forward(gram, rank, q, columns);
        }
        double[] projection = metric == null ? q : algebra.multiply(q, rank, columns, metric.root());
        double[] back = metric == null ? q : algebra.multiply(q, rank, columns, metric.rootInverse());
        return new Directions(rank, floats(projection), floats(back), Arrays.copyOf(scales, rank));
    }

    private static void normalise(double[] values, int from, int length) {
        double sum = 0;
        for (int j = from; j < from + length; j++) {
            sum += values[j] * values[j];
        }
        double factor = sum > 0 ? 1 / Math.sqrt(sum) : 0;
        for (int j = from; j < from + length; j++) {
            values[j] *= factor;
        }
    }

    /** As binary32. */
    static float[] floats(double[] values) {
        float[] narrow = new float[values.length];
        for (int j = 0; j < values.length; j++) {
            narrow[j] = (float) values[j];
        }
        return narrow;
    }
}
