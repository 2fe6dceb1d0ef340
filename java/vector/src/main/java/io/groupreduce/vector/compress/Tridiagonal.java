package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Doubles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * A symmetric matrix turned into a tridiagonal one by Householder reflections, in double precision (Golub and Van Loan, Matrix
 * Computations, 8.3.1; panels that delay the update of the rest after Dongarra, Hammarling and Sorensen, 1989).
 *
 * <pre>A = Q T Q^T,   Q = H_0 H_1 ... H_(n-3),   H_j = I - factor_j v_j v_j^T</pre>
 *
 * <p>Half of the work are products of the matrix with one vector, which read its upper triangle once: {@code 8 n^3 / 6} bytes from memory
 * in all. The other half updates it a panel at a time. A is overwritten: row j keeps v_j, so that nothing else is n x n.
 */
final class Tridiagonal {
    /** Reflections that are gathered before the rest of the matrix is updated. */
    private static final int PANEL = 32;

    /** Columns of the rest that are updated at a time: those of a panel's vectors stay in the second-level cache. */
    private static final int COLUMNS = 1024;

    private static final int ROWS = 64;

    /** Parts of a product with a vector, each with a sum of its own, at most. */
    private static final int PARTS = 32;

    /** Rows of eigenvectors that one thread takes back to A's coordinates at a time. */
    private static final int BACK_ROWS = 40 * Lanes.MR;

    /** Smaller squares are nothing beside numbers near 1, and have lost digits to underflow: no reflection could be made of them. */
    private static final double LEAST_SQUARES = 0x1p-960;

    private final Workers workers;
    private final double[] a;
    private final int n;
    private final double[] diagonal;
    private final double[] beside;
    private final double[] factors;
    /** The vectors v of a panel, then its vectors w, n numbers each. */
    private final double[] panel;

    private final double[][] sums;

    private Tridiagonal(Workers workers, double[] a, int n) {
        this.workers = workers;
        this.a = a;
        this.n = n;
        diagonal = new double[n];
        beside = new double[n - 1];
        factors = new double[n];
        panel = new double[2 * PANEL * n];
        sums = new double[PARTS][n];
    }

    /**
     * Reduces a matrix.
     *
     * @param a n x n row-major, n at least 2, its largest number near 1; only its upper triangle is read, and it is overwritten
     */
    static Tridiagonal of(Workers workers, double[] a, int n) {
        Tridiagonal reduced = new Tridiagonal(workers, a, n);
        for (int first = 0; first < n - 2; first += PANEL) {
            reduced.reduce(first, Math.min(PANEL, n - 2 - first));
        }
        for (int j = Math.max(0, n - 2); j < n; j++) {
            reduced.diagonal[j] = a[j * n + j];
        }
        reduced.beside[n - 2] = a[(n - 2) * n + n - 1];
        return reduced;
    }

    /** The diagonal of T, length n. */
    double[] diagonal() {
        return diagonal;
    }

    /** The numbers beside the diagonal of T, length n - 1. */
    double[] beside() {
        return beside;
    }

    private void reduce(int first, int count) {
        for (int t = 0; t < count; t++) {
            int j = first + t;
            int row = j * n;
            for (int s = 0; s < t; s++) {
                subtract(s, j);
            }
            diagonal[j] = a[row + j];
            int v = t * n;
            Arrays.fill(panel, v, v + j + 1, 0);
            reflect(j, v);
            int w = (PANEL + t) * n;
            Arrays.fill(panel, w, w + n, 0);
            if (factors[j] != 0) {
                multiply(j + 1, v, w);
                correct(j, t, v, w);
            }
            System.arraycopy(panel, v + j + 1, a, row + j + 1, n - j - 1);
        }
        update(first + count, count);
    }

    /** What reflection s of the panel does to row j, from the diagonal on: {@code v_s[j] w_s + w_s[j] v_s} is taken away. */
    private void subtract(int s, int j) {
        int v = s * n;
        int w = (PANEL + s) * n;
        Doubles.add(a, j * n + j, -panel[v + j], panel, w + j, n - j);
        Doubles.add(a, j * n + j, -panel[w + j], panel, v + j, n - j);
    }

    /** The reflection that turns what is right of the diagonal in row j into one number: v with a leading 1, and its factor. */
    private void reflect(int j, int v) {
        int length = n - j - 1;
        System.arraycopy(a, j * n + j + 1, panel, v + j + 1, length);
        double lead = panel[v + j + 1];
        double rest = Doubles.dot(panel, v + j + 2, panel, v + j + 2, length - 1);
        if (rest < LEAST_SQUARES) {
            beside[j] = lead;
            factors[j] = 0;
            Arrays.fill(panel, v + j + 1, v + n, 0);
            return;
        }
        double norm = Math.sqrt(lead * lead + rest);
        double turned = lead > 0 ? -norm : norm;
        beside[j] = turned;
        factors[j] = (turned - lead) / turned;
        double scale = 1 / (lead - turned);
        panel[v + j + 1] = 1;
        for (int c = v + j + 2; c < v + n; c++) {
            panel[c] *= scale;
        }
    }

    /** {@code w = A v} over rows and columns from {@code first} on, of the matrix as it was before this panel. */
    private void multiply(int first, int v, int w) {
        int length = n - first;
        int parts = Math.clamp(length / ROWS, 1, PARTS);
        double[] x = Arrays.copyOfRange(panel, v, v + n);
        workers.run(parts, (part, worker) -> {
            double[] sum = sums[part];
            Arrays.fill(sum, first, n, 0);
            int end = boundary(part + 1, parts, first, length);
            int i = boundary(part, parts, first, length);
            for (; i + 4 <= end; i += 4) {
                corner(i, x, sum);
                Doubles.multiplyFourRows(a, n, i, x, sum);
            }
            for (; i < end; i++) {
                sum[i] += a[i * n + i] * x[i];
                sum[i] += Doubles.dot(a, i * n + i + 1, x, i + 1, n - i - 1);
                Doubles.add(sum, i + 1, x[i], a, i * n + i + 1, n - i - 1);
            }
        });
        for (int part = 0; part < parts; part++) {
            Doubles.add(panel, w + first, 1, sums[part], first, length);
        }
    }

    /** Where parts of a triangle of equal area begin. */
    private static int boundary(int part, int parts, int first, int length) {
        return part == parts ? first + length : first + (int) (length * (1 - Math.sqrt(1 - (double) part / parts)));
    }

    /** The diagonal block of four rows. */
    private void corner(int row, double[] x, double[] sum) {
        for (int i = row; i < row + 4; i++) {
            sum[i] += a[i * n + i] * x[i];
            for (int c = i + 1; c < row + 4; c++) {
                sum[i] += a[i * n + c] * x[c];
                sum[c] += a[i * n + c] * x[i];
            }
        }
    }

    /** Makes w of A v: what the panel's earlier reflections change, and the part along v that both sides share. */
    private void correct(int j, int t, int v, int w) {
        int from = j + 1;
        int length = n - from;
        for (int s = 0; s < t; s++) {
            double vs = Doubles.dot(panel, s * n + from, panel, v + from, length);
            double ws = Doubles.dot(panel, (PANEL + s) * n + from, panel, v + from, length);
            Doubles.add(panel, w + from, -ws, panel, s * n + from, length);
            Doubles.add(panel, w + from, -vs, panel, (PANEL + s) * n + from, length);
        }
        for (int c = w + from; c < w + n; c++) {
            panel[c] *= factors[j];
        }
        double along = Doubles.dot(panel, w + from, panel, v + from, length);
        Doubles.add(panel, w + from, -0.5 * factors[j] * along, panel, v + from, length);
    }

    /** The upper triangle from row {@code first} on, less what a panel's reflections take from both sides. */
    private void update(int first, int count) {
        int length = n - first;
        int across = Math.ceilDiv(length, COLUMNS);
        workers.run(Math.ceilDiv(length, ROWS) * across, (task, worker) -> {
            int top = first + task / across * ROWS;
            int left = first + task % across * COLUMNS;
            int right = Math.min(n, left + COLUMNS);
            double[] both = new double[2 * count];
            for (int i = top; i < Math.min(n, top + ROWS) && i < right; i++) {
                for (int t = 0; t < count; t++) {
                    both[t] = -panel[(PANEL + t) * n + i];
                    both[count + t] = -panel[t * n + i];
                }
                int from = Math.max(i, left);
                Doubles.addRows(both, 0, count, panel, from, n, a, i * n + from, right - from);
                Doubles.addRows(both, count, count, panel, PANEL * n + from, n, a, i * n + from, right - from);
            }
        });
    }

    /**
     * Eigenvectors of T become those of A: {@code x = Q y}, in single precision, a panel of reflections at a time: {@code H_first ...
     * H_last = I - V S V^T} with an upper triangular S (Schreiber and Van Loan, 1989).
     *
     * @param vectors {@code count} rows of n numbers, {@code stride} apart, which is n rounded up to whole panels; with room for {@code
     *     Lanes.padRows(count)} rows
     */
    void restore(float[] vectors, int count, int stride) {
        int last = (n - 3) / PANEL * PANEL;
        for (int first = n < 3 ? -1 : last; first >= 0; first -= PANEL) {
            int width = Math.min(PANEL, n - 2 - first);
            // Columns before the first reflected one are left alone, whole panels of them.
            int from = (first + 1) / Lanes.NR * Lanes.NR;
            float[] v = new float[width * (n - from)];
            double[] exact = new double[width * n];
            for (int t = 0; t < width; t++) {
                int j = first + t;
                if (factors[j] != 0) {
                    System.arraycopy(a, j * n + j + 1, exact, t * n + j + 1, n - j - 1);
                }
                for (int c = from; c < n; c++) {
                    v[t * (n - from) + c - from] = (float) exact[t * n + c];
                }
            }
            float[] s = triangle(first, width, exact);
            PackedMatrix down = PackedMatrix.ofTransposed(v, n - from, width, n - from);
            PackedMatrix turn = PackedMatrix.of(s, width, width, width);
            PackedMatrix back = PackedMatrix.of(v, width, n - from, n - from);
            int narrow = Lanes.padColumns(width);
            workers.run(Math.ceilDiv(count, BACK_ROWS), (task, worker) -> {
                int top = task * BACK_ROWS;
                int rows = Math.min(BACK_ROWS, count - top);
                float[] along = new float[BACK_ROWS * narrow];
                float[] turned = new float[BACK_ROWS * narrow];
                for (int p = 0; p < down.panels(); p++) {
                    Gemm.panel(
                            vectors,
                            top * stride + from,
                            stride,
                            rows,
                            n - from,
                            down.panel(p),
                            along,
                            p * Lanes.NR,
                            narrow);
                }
                Gemm.multiply(along, narrow, rows, width, turn, turn.panels(), turned, narrow);
                for (int p = 0; p < back.panels(); p++) {
                    int at = top * stride + from + p * Lanes.NR;
                    Gemm.panel(turned, 0, narrow, rows, width, back.panel(p), 0, vectors, at, stride, true);
                }
            });
        }
    }

    /** {@code -S^T}, width x width: with rows for vectors, a row x becomes {@code x - (x V) S^T V^T}. */
    private float[] triangle(int first, int width, double[] v) {
        double[] s = new double[width * width];
        for (int t = 0; t < width; t++) {
            s[t * width + t] = factors[first + t];
            for (int r = 0; r < t; r++) {
                double sum = 0;
                for (int k = r; k < t; k++) {
                    sum += s[r * width + k] * Doubles.dot(v, k * n, v, t * n, n);
                }
                s[r * width + t] = -factors[first + t] * sum;
            }
        }
        float[] transposed = new float[width * width];
        for (int r = 0; r < width; r++) {
            for (int t = 0; t < width; t++) {
                transposed[t * width + r] = (float) -s[r * width + t];
            }
        }
        return transposed;
    }
}
