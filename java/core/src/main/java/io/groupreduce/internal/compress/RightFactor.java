package io.groupreduce.internal.compress;

import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The right factor that fits stored left factors best, and the directions it spans. Coordinates that a row does not keep
 * follow in part from those it keeps, and rounded coordinates are a little short: least squares gives both back, without a
 * byte.
 */
final class RightFactor {
    /** Relative to the mean of the Gram matrix's diagonal: a direction that hardly any row uses stays finite. */
    private static final double RIDGE = 1e-7;

    /** A pivot below this, relative to the largest diagonal element, is rounding. */
    private static final double LEAST_PIVOT = 1e-12;

    /** Columns that one thread solves for at a time. */
    private static final int TILE = 64;

    private RightFactor() {}

    /**
     * argmin over R of sum_i w_i ||(A_i - L_i R) S||^2: whatever S, the solution of (L^T W L + ridge) R = L^T W A.
     *
     * @return k x D row-major
     */
    static double[] fit(NormalEquations equations, int columns) {
        int k = equations.rank();
        double[] gram = equations.gram().clone();
        double trace = 0;
        for (int j = 0; j < k; j++) {
            trace += gram[j * k + j];
        }
        for (int j = 0; j < k; j++) {
            gram[j * k + j] += RIDGE * trace / k + Double.MIN_NORMAL;
        }
        cholesky(gram, k);
        double[] right = equations.cross().clone();
        forward(gram, k, right, columns);
        backward(gram, k, right, columns);
        return right;
    }

    /** The first rows of the right factor that undoes a basis's scaled coordinates, k x D row-major. */
    static double[] of(Directions basis, int rank, int columns) {
        double[] right = new double[rank * columns];
        for (int k = 0; k < rank; k++) {
            for (int j = 0; j < columns; j++) {
                right[k * columns + j] = (double) basis.right()[k * columns + j] / basis.scales()[k];
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
    static Directions directions(double[] right, int rank, int columns, MetricRoot metric, float[] scales) {
        double[] q = metric == null ? right.clone() : multiply(right, rank, columns, metric.root());
        IntStream.range(0, rank).forEach(j -> normalise(q, j * columns, columns));
        // Twice is enough: the second pass takes away what rounding left in the first (Parlett's "twice is enough").
        for (int pass = 0; pass < 2; pass++) {
            double[] gram = outer(q, rank, columns);
            cholesky(gram, rank);
            forward(gram, rank, q, columns);
        }
        double[] projection = metric == null ? q : multiply(q, rank, columns, metric.root());
        double[] back = metric == null ? q : multiply(q, rank, columns, metric.rootInverse());
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

    /** a, m x n, times the symmetric n x n matrix b. */
    private static double[] multiply(double[] a, int m, int n, double[] b) {
        double[] product = new double[m * n];
        IntStream.range(0, m).parallel().forEach(i -> {
            for (int k = 0; k < n; k++) {
                addScaled(product, i * n, a[i * n + k], b, k * n, 0, n);
            }
        });
        return product;
    }

    /** a a^T for a of m x n. */
    private static double[] outer(double[] a, int m, int n) {
        double[] product = new double[m * m];
        IntStream.range(0, m).parallel().forEach(i -> {
            for (int j = 0; j <= i; j++) {
                double s0 = 0;
                double s1 = 0;
                double s2 = 0;
                double s3 = 0;
                int c = 0;
                for (; c + 4 <= n; c += 4) {
                    s0 += a[i * n + c] * a[j * n + c];
                    s1 += a[i * n + c + 1] * a[j * n + c + 1];
                    s2 += a[i * n + c + 2] * a[j * n + c + 2];
                    s3 += a[i * n + c + 3] * a[j * n + c + 3];
                }
                for (; c < n; c++) {
                    s0 += a[i * n + c] * a[j * n + c];
                }
                product[i * m + j] = s0 + s1 + (s2 + s3);
            }
        });
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < i; j++) {
                product[j * m + i] = product[i * m + j];
            }
        }
        return product;
    }

    /**
     * The lower factor of {@code g = L L^T} in place of g's lower triangle. A direction that depends on those before it gets a
     * pivot so large that it drops out.
     */
    private static void cholesky(double[] g, int n) {
        double largest = 0;
        for (int j = 0; j < n; j++) {
            largest = Math.max(largest, g[j * n + j]);
        }
        double least = LEAST_PIVOT * largest + Double.MIN_NORMAL;
        // Row j of the transpose is column j of L, kept in the upper triangle while it is updated: rows run in memory
        // order.
        for (int j = 0; j < n; j++) {
            double pivot = g[j * n + j];
            boolean independent = pivot > least;
            double factor = independent ? 1 / Math.sqrt(pivot) : 0;
            for (int i = j; i < n; i++) {
                g[j * n + i] *= factor;
            }
            int column = j;
            IntStream rest = IntStream.range(j + 1, n);
            (n - j > 4 * TILE ? rest.parallel() : rest)
                    .forEach(i -> addScaled(g, i * n, -g[column * n + i], g, column * n, i, n));
            if (!independent) {
                g[j * n + j] = Double.POSITIVE_INFINITY;
            }
        }
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                g[i * n + j] = g[j * n + i];
            }
        }
    }

    /** b = L^-1 b for b of n x columns. */
    private static void forward(double[] l, int n, double[] b, int columns) {
        IntStream.range(0, Math.ceilDiv(columns, TILE)).parallel().forEach(tile -> {
            int from = tile * TILE;
            int to = Math.min(columns, from + TILE);
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < i; j++) {
                    addScaled(b, i * columns, -l[i * n + j], b, j * columns, from, to);
                }
                divide(b, i * columns, l[i * n + i], from, to);
            }
        });
    }

    /** b = L^-T b for b of n x columns. */
    private static void backward(double[] l, int n, double[] b, int columns) {
        IntStream.range(0, Math.ceilDiv(columns, TILE)).parallel().forEach(tile -> {
            int from = tile * TILE;
            int to = Math.min(columns, from + TILE);
            for (int i = n - 1; i >= 0; i--) {
                for (int j = i + 1; j < n; j++) {
                    addScaled(b, i * columns, -l[j * n + i], b, j * columns, from, to);
                }
                divide(b, i * columns, l[i * n + i], from, to);
            }
        });
    }

    private static void addScaled(double[] sum, int at, double factor, double[] values, int offset, int from, int to) {
        for (int j = from; j < to; j++) {
            sum[at + j] += factor * values[offset + j];
        }
    }

    private static void divide(double[] values, int at, double divisor, int from, int to) {
        for (int j = from; j < to; j++) {
            values[at + j] /= divisor;
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
