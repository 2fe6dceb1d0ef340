package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.KC;
import static io.groupreduce.vector.kernel.Lanes.MR;
import static io.groupreduce.vector.kernel.Lanes.NR;

/**
 * The single-precision matrix product.
 *
 * <pre>C = A B,   A: rows x depth row-major, B: depth x columns packed, C: rows x columns row-major</pre>
 *
 * <p>A panel of B (KC x NR numbers) stays in the second-level cache while all rows of the tile pass by it, MR at a time; C is
 * visited once for every KC steps. Bytes a tile moves: A once for every panel from the second-level cache, B once, C
 * {@code 2 * depth / KC} times. Nothing is packed or transposed but B.
 *
 * <p>Arrays of A and C have room for whole blocks: {@code padRows(rows)} rows, and C at least {@code padColumns(columns)}
 * columns. What lies beyond is computed and never read.
 */
public final class Gemm {
    /** Rows of the blocks that threads share out: enough to keep a panel of B busy. */
    private static final int SHARED_ROWS = 16 * MR;

    private Gemm() {}

    /** Computes the first {@code panels} panels of columns; a smaller {@code depth} than B's uses its first rows. */
    public static void multiply(
            float[] a, int lda, int rows, int depth, PackedMatrix b, int panels, float[] c, int ldc) {
        for (int p = 0; p < panels; p++) {
            panel(a, 0, lda, rows, depth, b.panel(p), c, p * NR, ldc);
        }
    }

    /** Likewise for all panels, shared out over the threads. */
    public static void multiply(Workers workers, float[] a, int lda, int rows, PackedMatrix b, float[] c, int ldc) {
        int depth = b.depth();
        int blocks = Math.ceilDiv(rows, SHARED_ROWS);
        workers.run(blocks * b.panels(), (task, worker) -> {
            int first = task % blocks * SHARED_ROWS;
            int p = task / blocks;
            int count = Math.min(SHARED_ROWS, rows - first);
            panel(a, first * lda, lda, count, depth, b.panel(p), c, first * ldc + p * NR, ldc);
        });
    }

    /** One panel of columns: rows of A from {@code a0} on times {@code panel} into C from {@code c0} on. */
    public static void panel(
            float[] a, int a0, int lda, int rows, int depth, float[] panel, float[] c, int c0, int ldc) {
        panel(a, a0, lda, rows, depth, panel, 0, c, c0, ldc, false);
    }

    /**
     * Likewise with a panel that begins at {@code panel0}.
     *
     * @param add whether to add to what C holds
     */
    public static void panel(
            float[] a,
            int a0,
            int lda,
            int rows,
            int depth,
            float[] panel,
            int panel0,
            float[] c,
            int c0,
            int ldc,
            boolean add) {
        for (int k = 0; k < depth; k += KC) {
            int steps = Math.min(KC, depth - k);
            for (int i = 0; i < rows; i += MR) {
                MicroKernel.rows(
                        steps, a, a0 + i * lda + k, lda, panel, panel0 + k * NR, c, c0 + i * ldc, ldc, add || k > 0);
            }
        }
    }
}
