package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.SplittableRandom;

/** One product: operands with rows to spare, and what plain loops make of them. */
final class Product {
    final boolean transA;
    final boolean transB;
    final int m;
    final int n;
    final int k;
    final int lda;
    final int ldb;
    final int ldc;
    final double alpha = 1.5;
    final double beta;
    final double[] a;
    final double[] b;
    final double[] c;

    Product(boolean transA, boolean transB, int[] sizes, double beta, int batch) {
        this.transA = transA;
        this.transB = transB;
        m = sizes[0];
        n = sizes[1];
        k = sizes[2];
        lda = (transA ? k : m) + 2;
        ldb = (transB ? n : k) + 1;
        ldc = m + 3;
        this.beta = beta;
        SplittableRandom random = new SplittableRandom(m + 100L * n + 10000L * k);
        a = rounded(Columns.random(random, batch * strideA()));
        b = rounded(Columns.random(random, batch * strideB()));
        c = beta == 0 ? new double[batch * strideC()] : rounded(Columns.random(random, batch * strideC()));
        if (beta == 0) {
            Arrays.fill(c, Double.NaN);
        }
    }

    int strideA() {
        return lda * (transA ? m : k);
    }

    int strideB() {
        return ldb * (transB ? k : n);
    }

    int strideC() {
        return ldc * n;
    }

    /** Element (i, j) of product t. */
    double expected(int t, int i, int j) {
        double sum = 0;
        for (int p = 0; p < k; p++) {
            sum += a[t * strideA() + (transA ? p + i * lda : i + p * lda)]
                    * b[t * strideB() + (transB ? j + p * ldb : p + j * ldb)];
        }
        return alpha * sum + (beta == 0 ? 0 : beta * c[t * strideC() + i + j * ldc]);
    }

    void check(double[] result, double eps, int batch) {
        for (int t = 0; t < batch; t++) {
            for (int j = 0; j < n; j++) {
                for (int i = 0; i < ldc; i++) {
                    int at = t * strideC() + i + j * ldc;
                    double expected = i < m ? expected(t, i, j) : c[at];
                    assertEquals(expected, result[at], i < m ? eps * (k + 2) : 0, this + " at " + i + ", " + j);
                }
            }
        }
    }

    @Override
    public String toString() {
        return m + " x " + n + " x " + k + (transA ? " A^T" : " A") + (transB ? " B^T" : " B") + " beta " + beta;
    }

    /** To numbers that binary32 and bfloat16 hold. */
    private static double[] rounded(double[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.rint(values[i] * 64) / 64;
        }
        return values;
    }
}
