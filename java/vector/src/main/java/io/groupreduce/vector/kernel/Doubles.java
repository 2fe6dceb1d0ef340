package io.groupreduce.vector.kernel;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;

/** Vector operations in double precision. Ranges of one array must not overlap, which the compiler cannot know. */
public final class Doubles {
    private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_PREFERRED;

    /** Rows that are combined at once, so that the target is read and written once for all of them. */
    private static final int TOGETHER = 4;

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
        addRows(a, a0, depth, b, 0, columns, c, c0, columns);
    }

    /** {@code c[c0 + j] += sum over k < depth of a[a0 + k] * b[b0 + k * stride + j]}, k ascending, for {@code j < length}. */
    public static void addRows(
            double[] a, int a0, int depth, double[] b, int b0, int stride, double[] c, int c0, int length) {
        int k = 0;
        for (; k + TOGETHER <= depth; k += TOGETHER) {
            addFour(a, a0 + k, b, b0 + k * stride, stride, c, c0, length);
        }
        for (; k < depth; k++) {
            add(c, c0, a[a0 + k], b, b0 + k * stride, length);
        }
    }

    private static void addFour(double[] a, int a0, double[] b, int b0, int stride, double[] c, int c0, int length) {
        int b1 = b0 + stride;
        int b2 = b1 + stride;
        int b3 = b2 + stride;
        DoubleVector f0 = DoubleVector.broadcast(DOUBLES, a[a0]);
        DoubleVector f1 = DoubleVector.broadcast(DOUBLES, a[a0 + 1]);
        DoubleVector f2 = DoubleVector.broadcast(DOUBLES, a[a0 + 2]);
        DoubleVector f3 = DoubleVector.broadcast(DOUBLES, a[a0 + 3]);
        int whole = DOUBLES.loopBound(length);
        int j = 0;
        for (; j < whole; j += DOUBLES.length()) {
            DoubleVector sum =
                    DoubleVector.fromArray(DOUBLES, b, b0 + j).fma(f0, DoubleVector.fromArray(DOUBLES, c, c0 + j));
            sum = DoubleVector.fromArray(DOUBLES, b, b1 + j).fma(f1, sum);
            sum = DoubleVector.fromArray(DOUBLES, b, b2 + j).fma(f2, sum);
            sum = DoubleVector.fromArray(DOUBLES, b, b3 + j).fma(f3, sum);
            sum.intoArray(c, c0 + j);
        }
        for (; j < length; j++) {
            double sum = Math.fma(a[a0], b[b0 + j], c[c0 + j]);
            sum = Math.fma(a[a0 + 1], b[b1 + j], sum);
            sum = Math.fma(a[a0 + 2], b[b2 + j], sum);
            c[c0 + j] = Math.fma(a[a0 + 3], b[b3 + j], sum);
        }
    }

    /** {@code sum over j < length of a[a0 + j] * b[b0 + j]}, in an order that depends on {@code length} alone. */
    public static double dot(double[] a, int a0, double[] b, int b0, int length) {
        int lanes = DOUBLES.length();
        DoubleVector even = DoubleVector.zero(DOUBLES);
        DoubleVector odd = even;
        int j = 0;
        for (; j + 2 * lanes <= length; j += 2 * lanes) {
            even = DoubleVector.fromArray(DOUBLES, a, a0 + j).fma(DoubleVector.fromArray(DOUBLES, b, b0 + j), even);
            odd = DoubleVector.fromArray(DOUBLES, a, a0 + j + lanes)
                    .fma(DoubleVector.fromArray(DOUBLES, b, b0 + j + lanes), odd);
        }
        double sum = sum(even.add(odd));
        for (; j < length; j++) {
            sum = Math.fma(a[a0 + j], b[b0 + j], sum);
        }
        return sum;
    }

    /**
     * What four rows of the upper triangle of a symmetric matrix add to its product with x, right of their common diagonal block:
     * {@code y[j] += sum over r < 4 of a[r, j] x[row + r]} and {@code y[row + r] += sum over j of a[r, j] x[j]}, for j from {@code
     * row + 4} on. Every number of A is read once.
     *
     * @param a n x n, row-major
     */
    public static void multiplyFourRows(double[] a, int n, int row, double[] x, double[] y) {
        int a0 = row * n;
        int a1 = a0 + n;
        int a2 = a1 + n;
        int a3 = a2 + n;
        DoubleVector x0 = DoubleVector.broadcast(DOUBLES, x[row]);
        DoubleVector x1 = DoubleVector.broadcast(DOUBLES, x[row + 1]);
        DoubleVector x2 = DoubleVector.broadcast(DOUBLES, x[row + 2]);
        DoubleVector x3 = DoubleVector.broadcast(DOUBLES, x[row + 3]);
        DoubleVector s0 = DoubleVector.zero(DOUBLES);
        DoubleVector s1 = s0;
        DoubleVector s2 = s0;
        DoubleVector s3 = s0;
        int first = row + TOGETHER;
        int j = first;
        for (; j + DOUBLES.length() <= n; j += DOUBLES.length()) {
            DoubleVector at = DoubleVector.fromArray(DOUBLES, x, j);
            DoubleVector r0 = DoubleVector.fromArray(DOUBLES, a, a0 + j);
            DoubleVector r1 = DoubleVector.fromArray(DOUBLES, a, a1 + j);
            DoubleVector r2 = DoubleVector.fromArray(DOUBLES, a, a2 + j);
            DoubleVector r3 = DoubleVector.fromArray(DOUBLES, a, a3 + j);
            s0 = r0.fma(at, s0);
            s1 = r1.fma(at, s1);
            s2 = r2.fma(at, s2);
            s3 = r3.fma(at, s3);
            DoubleVector down = r0.fma(x0, DoubleVector.fromArray(DOUBLES, y, j));
            down = r1.fma(x1, down);
            down = r2.fma(x2, down);
            down = r3.fma(x3, down);
            down.intoArray(y, j);
        }
        double t0 = sum(s0);
        double t1 = sum(s1);
        double t2 = sum(s2);
        double t3 = sum(s3);
        for (; j < n; j++) {
            t0 = Math.fma(a[a0 + j], x[j], t0);
            t1 = Math.fma(a[a1 + j], x[j], t1);
            t2 = Math.fma(a[a2 + j], x[j], t2);
            t3 = Math.fma(a[a3 + j], x[j], t3);
            y[j] += a[a0 + j] * x[row] + a[a1 + j] * x[row + 1] + a[a2 + j] * x[row + 2] + a[a3 + j] * x[row + 3];
        }
        y[row] += t0;
        y[row + 1] += t1;
        y[row + 2] += t2;
        y[row + 3] += t3;
    }

    /**
     * The sum of all lanes, in order. {@code reduceLanes(ADD)} leaves the order open, and then interpreted and compiled code differ
     * in the last bit.
     */
    public static double sum(DoubleVector vector) {
        double sum = 0;
        for (int lane = 0; lane < DOUBLES.length(); lane++) {
            sum += vector.lane(lane);
        }
        return sum;
    }
}
