package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.WIDE;

/**
 * The inner loop of every matrix product: one block of C in registers.
 *
 * <pre>C[r, j] (+)= sum over k &lt; depth of A[r, k] * B[k, j],   r &lt; MR, j &lt; NR</pre>
 *
 * <p>B is a panel: depth rows of NR numbers without gaps. C is read and written once a call. A is not packed when it is
 * row-major, since MR running rows are as many streams as the processor follows; nothing is ever transposed for it.
 *
 * <p>The order of the sum is k ascending with one rounding a step (fma), so a block has the same bits wherever and by whomever
 * it is computed.
 */
public final class MicroKernel {
    private MicroKernel() {}

    /**
     * A row-major: {@code A[r, k] = a[a0 + r * lda + k]}.
     *
     * @param add whether to add to what C holds
     */
    public static void rows(
            int depth, float[] a, int a0, int lda, float[] b, int b0, float[] c, int c0, int ldc, boolean add) {
        if (WIDE) {
            WideKernel.rows(depth, a, a0, lda, b, b0, c, c0, ldc, add);
        } else {
            NarrowKernel.rows(depth, a, a0, lda, b, b0, c, c0, ldc, add);
        }
    }

    /**
     * A is the transpose of columns of a panel: {@code A[r, k] = a[a0 + k * NR + r]}; C has rows of NR numbers. {@code a} needs
     * MR numbers of room behind its last row.
     *
     * @param add whether to add to what C holds
     */
    public static void columns(int depth, float[] a, int a0, float[] b, int b0, float[] c, int c0, boolean add) {
        if (WIDE) {
            WideKernel.columns(depth, a, a0, b, b0, c, c0, add);
        } else {
            NarrowKernel.columns(depth, a, a0, b, b0, c, c0, add);
        }
    }
}
