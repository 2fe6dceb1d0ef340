package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import jdk.incubator.vector.FloatVector;

/**
 * {@link MicroKernel} for processors with 32 vector registers: a block of 6 rows by 4 vectors. The 24 accumulators are local
 * variables and not an array, which the compiler would keep in memory; with 4 vectors of B and one broadcast number, 29
 * registers are live.
 *
 * <p>Bytes, 512-bit vectors: a step of k loads 256 of B (from the second-level cache) and 24 of A (from the first) for 768
 * floating-point operations.
 */
final class WideKernel {
    private WideKernel() {}

    /** See {@link MicroKernel#rows}. */
    static void rows(
            int depth, float[] a, int a0, int lda, float[] b, int bStart, float[] c, int cStart, int ldc, boolean add) {
        int a1 = a0 + lda;
        int a2 = a1 + lda;
        int a3 = a2 + lda;
        int a4 = a3 + lda;
        int a5 = a4 + lda;
        FloatVector zero = FloatVector.zero(FLOATS);
        FloatVector c00 = zero;
        FloatVector c01 = zero;
        FloatVector c02 = zero;
        FloatVector c03 = zero;
        FloatVector c10 = zero;
        FloatVector c11 = zero;
        FloatVector c12 = zero;
        FloatVector c13 = zero;
        FloatVector c20 = zero;
        FloatVector c21 = zero;
        FloatVector c22 = zero;
        FloatVector c23 = zero;
        FloatVector c30 = zero;
        FloatVector c31 = zero;
        FloatVector c32 = zero;
        FloatVector c33 = zero;
        FloatVector c40 = zero;
        FloatVector c41 = zero;
        FloatVector c42 = zero;
        FloatVector c43 = zero;
        FloatVector c50 = zero;
        FloatVector c51 = zero;
        FloatVector c52 = zero;
        FloatVector c53 = zero;
        for (int k = 0; k < depth; k++) {
            int from = bStart + k * NR;
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, from);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, from + LANES);
            FloatVector b2 = FloatVector.fromArray(FLOATS, b, from + 2 * LANES);
            FloatVector b3 = FloatVector.fromArray(FLOATS, b, from + 3 * LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[a0 + k]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.broadcast(FLOATS, a[a1 + k]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.broadcast(FLOATS, a[a2 + k]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.broadcast(FLOATS, a[a3 + k]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
            x = FloatVector.broadcast(FLOATS, a[a4 + k]);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            c42 = x.fma(b2, c42);
            c43 = x.fma(b3, c43);
            x = FloatVector.broadcast(FLOATS, a[a5 + k]);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            c52 = x.fma(b2, c52);
            c53 = x.fma(b3, c53);
        }
        int to = cStart;
        if (add) {
            c00 = c00.add(FloatVector.fromArray(FLOATS, c, to));
            c01 = c01.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c02 = c02.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c03 = c03.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c00.intoArray(c, to);
        c01.intoArray(c, to + LANES);
        c02.intoArray(c, to + 2 * LANES);
        c03.intoArray(c, to + 3 * LANES);
        to = cStart + ldc;
        if (add) {
            c10 = c10.add(FloatVector.fromArray(FLOATS, c, to));
            c11 = c11.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c12 = c12.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c13 = c13.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c10.intoArray(c, to);
        c11.intoArray(c, to + LANES);
        c12.intoArray(c, to + 2 * LANES);
        c13.intoArray(c, to + 3 * LANES);
        to = cStart + 2 * ldc;
        if (add) {
            c20 = c20.add(FloatVector.fromArray(FLOATS, c, to));
            c21 = c21.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c22 = c22.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c23 = c23.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c20.intoArray(c, to);
        c21.intoArray(c, to + LANES);
        c22.intoArray(c, to + 2 * LANES);
        c23.intoArray(c, to + 3 * LANES);
        to = cStart + 3 * ldc;
        if (add) {
            c30 = c30.add(FloatVector.fromArray(FLOATS, c, to));
            c31 = c31.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c32 = c32.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c33 = c33.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c30.intoArray(c, to);
        c31.intoArray(c, to + LANES);
        c32.intoArray(c, to + 2 * LANES);
        c33.intoArray(c, to + 3 * LANES);
        to = cStart + 4 * ldc;
        if (add) {
            c40 = c40.add(FloatVector.fromArray(FLOATS, c, to));
            c41 = c41.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c42 = c42.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c43 = c43.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c40.intoArray(c, to);
        c41.intoArray(c, to + LANES);
        c42.intoArray(c, to + 2 * LANES);
        c43.intoArray(c, to + 3 * LANES);
        to = cStart + 5 * ldc;
        if (add) {
            c50 = c50.add(FloatVector.fromArray(FLOATS, c, to));
            c51 = c51.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c52 = c52.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c53 = c53.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c50.intoArray(c, to);
        c51.intoArray(c, to + LANES);
        c52.intoArray(c, to + 2 * LANES);
        c53.intoArray(c, to + 3 * LANES);
    }

    /** See {@link MicroKernel#columns}. */
    static void columns(int depth, float[] a, int a0, float[] b, int bStart, float[] c, int cStart, boolean add) {
        FloatVector zero = FloatVector.zero(FLOATS);
        FloatVector c00 = zero;
        FloatVector c01 = zero;
        FloatVector c02 = zero;
        FloatVector c03 = zero;
        FloatVector c10 = zero;
        FloatVector c11 = zero;
        FloatVector c12 = zero;
        FloatVector c13 = zero;
        FloatVector c20 = zero;
        FloatVector c21 = zero;
        FloatVector c22 = zero;
        FloatVector c23 = zero;
        FloatVector c30 = zero;
        FloatVector c31 = zero;
        FloatVector c32 = zero;
        FloatVector c33 = zero;
        FloatVector c40 = zero;
        FloatVector c41 = zero;
        FloatVector c42 = zero;
        FloatVector c43 = zero;
        FloatVector c50 = zero;
        FloatVector c51 = zero;
        FloatVector c52 = zero;
        FloatVector c53 = zero;
        for (int k = 0; k < depth; k++) {
            int from = bStart + k * NR;
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, from);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, from + LANES);
            FloatVector b2 = FloatVector.fromArray(FLOATS, b, from + 2 * LANES);
            FloatVector b3 = FloatVector.fromArray(FLOATS, b, from + 3 * LANES);
            int at = a0 + k * NR;
            FloatVector x = FloatVector.broadcast(FLOATS, a[at]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.broadcast(FLOATS, a[at + 1]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.broadcast(FLOATS, a[at + 2]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.broadcast(FLOATS, a[at + 3]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
            x = FloatVector.broadcast(FLOATS, a[at + 4]);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            c42 = x.fma(b2, c42);
            c43 = x.fma(b3, c43);
            x = FloatVector.broadcast(FLOATS, a[at + 5]);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            c52 = x.fma(b2, c52);
            c53 = x.fma(b3, c53);
        }
        int to = cStart;
        if (add) {
            c00 = c00.add(FloatVector.fromArray(FLOATS, c, to));
            c01 = c01.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c02 = c02.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c03 = c03.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c00.intoArray(c, to);
        c01.intoArray(c, to + LANES);
        c02.intoArray(c, to + 2 * LANES);
        c03.intoArray(c, to + 3 * LANES);
        to = cStart + NR;
        if (add) {
            c10 = c10.add(FloatVector.fromArray(FLOATS, c, to));
            c11 = c11.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c12 = c12.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c13 = c13.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c10.intoArray(c, to);
        c11.intoArray(c, to + LANES);
        c12.intoArray(c, to + 2 * LANES);
        c13.intoArray(c, to + 3 * LANES);
        to = cStart + 2 * NR;
        if (add) {
            c20 = c20.add(FloatVector.fromArray(FLOATS, c, to));
            c21 = c21.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c22 = c22.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c23 = c23.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c20.intoArray(c, to);
        c21.intoArray(c, to + LANES);
        c22.intoArray(c, to + 2 * LANES);
        c23.intoArray(c, to + 3 * LANES);
        to = cStart + 3 * NR;
        if (add) {
            c30 = c30.add(FloatVector.fromArray(FLOATS, c, to));
            c31 = c31.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c32 = c32.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c33 = c33.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c30.intoArray(c, to);
        c31.intoArray(c, to + LANES);
        c32.intoArray(c, to + 2 * LANES);
        c33.intoArray(c, to + 3 * LANES);
        to = cStart + 4 * NR;
        if (add) {
            c40 = c40.add(FloatVector.fromArray(FLOATS, c, to));
            c41 = c41.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c42 = c42.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c43 = c43.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c40.intoArray(c, to);
        c41.intoArray(c, to + LANES);
        c42.intoArray(c, to + 2 * LANES);
        c43.intoArray(c, to + 3 * LANES);
        to = cStart + 5 * NR;
        if (add) {
            c50 = c50.add(FloatVector.fromArray(FLOATS, c, to));
            c51 = c51.add(FloatVector.fromArray(FLOATS, c, to + LANES));
            c52 = c52.add(FloatVector.fromArray(FLOATS, c, to + 2 * LANES));
            c53 = c53.add(FloatVector.fromArray(FLOATS, c, to + 3 * LANES));
        }
        c50.intoArray(c, to);
        c51.intoArray(c, to + LANES);
        c52.intoArray(c, to + 2 * LANES);
        c53.intoArray(c, to + 3 * LANES);
    }
}
