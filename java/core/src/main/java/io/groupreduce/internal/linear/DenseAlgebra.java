package io.groupreduce.internal.linear;

/**
 * Small dense matrices in double precision, row-major. The order of every element's additions depends on the shapes alone, whatever
 * the number of threads: same input, same bits.
 */
public final class DenseAlgebra {
    /** A pivot below this, relative to the largest diagonal element, is rounding. */
    private static final double LEAST_PIVOT = 1e-12;

    /** Columns that one thread solves for at a time. */
    private static final int TILE = 64;

    /** Rows of a sum of outer products that one thread holds in its cache, and columns of them at a time. */
    private static final int SUM_ROWS = 16;

    private static final int SUM_COLUMNS = 512;

    private final Parallel threads;

    public DenseAlgebra(Parallel threads) {
        this.threads = threads;
    }

    /** a, m x n, times the symmetric n x n matrix b. */
    public double[] multiply(double[] a, int m, int n, double[] b) {
        double[] product = new double[m * n];
        threads.forEach(m, i -> {
            for (int k = 0; k < n; k++) {
                addScaled(product, i * n, a[i * n + k], b, k * n, 0, n);
            }
        });
        return product;
    }

    /** a a^T for a of m x n. */
    public double[] outer(double[] a, int m, int n) {
        double[] product = new double[m * m];
        threads.forEach(m, i -> {
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
        mirrorLower(product, m);
        return product;
    }

    /**
     * {@code sum += sum_k factors[k] v_k v_k^T} for {@code count} vectors of length n, the rows of {@code vectors}.
     *
     * @param sum n x n, symmetric before and after: only its upper triangle is computed, the rest is a copy
     */
    public void addOuterProducts(double[] sum, int n, double[] vectors, double[] factors, int count) {
        threads.forEach(Math.ceilDiv(n, SUM_ROWS), tile -> {
            int first = tile * SUM_ROWS;
            int end = Math.min(n, first + SUM_ROWS);
            for (int from = first; from < n; from += SUM_COLUMNS) {
                int to = Math.min(n, from + SUM_COLUMNS);
                for (int k = 0; k < count; k++) {
                    for (int i = first; i < end; i++) {
                        addScaled(sum, i * n, factors[k] * vectors[k * n + i], vectors, k * n, Math.max(i, from), to);
                    }
                }
            }
        });
        mirrorUpper(sum, n);
    }

    /**
     * The lower factor of {@code g = L L^T} in place of g's lower triangle. A direction that depends on those before it gets a
     * pivot so large that it drops out.
     */
    public void cholesky(double[] g, int n) {
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
            eliminate(g, n, j);
            if (!independent) {
                g[j * n + j] = Double.POSITIVE_INFINITY;
            }
        }
        mirrorUpper(g, n);
    }

    /** Subtracts column j of L times its transpose from the rows below it. */
    private void eliminate(double[] g, int n, int j) {
        if (n - j <= 4 * TILE) {
            subtract(g, n, j, j + 1, n);
            return;
        }
        threads.forEach(Math.ceilDiv(n - j - 1, TILE), tile -> {
            int from = j + 1 + tile * TILE;
            subtract(g, n, j, from, Math.min(n, from + TILE));
        });
    }

    private static void subtract(double[] g, int n, int j, int from, int to) {
        for (int i = from; i < to; i++) {
            addScaled(g, i * n, -g[j * n + i], g, j * n, i, n);
        }
    }

    /** b = L^-1 b for b of n x columns. */
    public void forward(double[] l, int n, double[] b, int columns) {
        threads.forEach(Math.ceilDiv(columns, TILE), tile -> {
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
    public void backward(double[] l, int n, double[] b, int columns) {
        threads.forEach(Math.ceilDiv(columns, TILE), tile -> {
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

    /** Copies the upper triangle to the lower one. */
    private static void mirrorUpper(double[] g, int n) {
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                g[i * n + j] = g[j * n + i];
            }
        }
    }

    /** Copies the lower triangle to the upper one. */
    private static void mirrorLower(double[] g, int n) {
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                g[j * n + i] = g[i * n + j];
            }
        }
    }
}
