package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import jdk.incubator.vector.FloatVector;

/**
 * {@link MicroKernel} for processors with 16 vector registers: a block of 6 rows by 2 vectors. The 12 accumulators are local
 * variables and not an array, which the compiler would keep in memory; with 2 vectors of B and one broadcast number, 15
 * registers are live.
 *
 * <p>Bytes, 256-bit vectors: a step of k loads 64 of B and 24 of A for 192 floating-point operations.
 */
final class NarrowKernel {
    private NarrowKernel() {}

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
        FloatVector c10 = zero;
        FloatVector c11 = zero;
        FloatVector c20 = zero;
        FloatVector c21 = zero;
        FloatVector c30 = zero;
        FloatVector c31 = zero;
        FloatVector c40 = zero;
        FloatVector c41 = zero;
        FloatVector c50 = zero;
        FloatVector c51 = zero;
        for (int k = 0; k < depth; k++) {
            int from = bStart + k * NR;
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, from);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, from + LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[a0 + k]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(FLOATS, a[a1 + k]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(FLOATS, a[a2 + k]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(FLOATS, a[a3 + k]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(FLOATS, a[a4 + k]);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(FLOATS, a[a5 + k]);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        int to = cStart;
        if (add) {
            c00 = c00.add(FloatVector.fromArray(FLOATS, c, to));
            c01 = c01.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c00.intoArray(c, to);
        c01.intoArray(c, to + LANES);
        to = cStart + ldc;
        if (add) {
            c10 = c10.add(FloatVector.fromArray(FLOATS, c, to));
            c11 = c11.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c10.intoArray(c, to);
        c11.intoArray(c, to + LANES);
        to = cStart + 2 * ldc;
        if (add) {
            c20 = c20.add(FloatVector.fromArray(FLOATS, c, to));
            c21 = c21.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c20.intoArray(c, to);
        c21.intoArray(c, to + LANES);
        to = cStart + 3 * ldc;
        if (add) {
            c30 = c30.add(FloatVector.fromArray(FLOATS, c, to));
            c31 = c31.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c30.intoArray(c, to);
        c31.intoArray(c, to + LANES);
        to = cStart + 4 * ldc;
        if (add) {
            c40 = c40.add(FloatVector.fromArray(FLOATS, c, to));
            c41 = c41.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c40.intoArray(c, to);
        c41.intoArray(c, to + LANES);
        to = cStart + 5 * ldc;
        if (add) {
            c50 = c50.add(FloatVector.fromArray(FLOATS, c, to));
            c51 = c51.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c50.intoArray(c, to);
        c51.intoArray(c, to + LANES);
    }

    /** See {@link MicroKernel#columns}. */
    static void columns(int depth, float[] a, int a0, float[] b, int bStart, float[] c, int cStart, boolean add) {
        FloatVector zero = FloatVector.zero(FLOATS);
        FloatVector c00 = zero;
        FloatVector c01 = zero;
        FloatVector c10 = zero;
        FloatVector c11 = zero;
        FloatVector c20 = zero;
        FloatVector c21 = zero;
        FloatVector c30 = zero;
        FloatVector c31 = zero;
        FloatVector c40 = zero;
        FloatVector c41 = zero;
        FloatVector c50 = zero;
        FloatVector c51 = zero;
        for (int k = 0; k < depth; k++) {
            int from = bStart + k * NR;
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, from);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, from + LANES);
            int at = a0 + k * NR;
            FloatVector x = FloatVector.broadcast(FLOATS, a[at]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(FLOATS, a[at + 1]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(FLOATS, a[at + 2]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(FLOATS, a[at + 3]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(FLOATS, a[at + 4]);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(FLOATS, a[at + 5]);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
        }
        int to = cStart;
        if (add) {
            c00 = c00.add(FloatVector.fromArray(FLOATS, c, to));
            c01 = c01.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c00.intoArray(c, to);
        c01.intoArray(c, to + LANES);
        to = cStart + NR;
        if (add) {
            c10 = c10.add(FloatVector.fromArray(FLOATS, c, to));
            c11 = c11.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c10.intoArray(c, to);
        c11.intoArray(c, to + LANES);
        to = cStart + 2 * NR;
        if (add) {
            c20 = c20.add(FloatVector.fromArray(FLOATS, c, to));
            c21 = c21.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c20.intoArray(c, to);
        c21.intoArray(c, to + LANES);
        to = cStart + 3 * NR;
        if (add) {
            c30 = c30.add(FloatVector.fromArray(FLOATS, c, to));
            c31 = c31.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c30.intoArray(c, to);
        c31.intoArray(c, to + LANES);
        to = cStart + 4 * NR;
        if (add) {
            c40 = c40.add(FloatVector.fromArray(FLOATS, c, to));
            c41 = c41.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c40.intoArray(c, to);
        c41.intoArray(c, to + LANES);
        to = cStart + 5 * NR;
        if (add) {
            c50 = c50.add(FloatVector.fromArray(FLOATS, c, to));
            c51 = c51.add(FloatVector.fromArray(FLOATS, c, to + LANES));
        }
        c50.intoArray(c, to);
        c51.intoArray(c, to + LANES);
    }
}
