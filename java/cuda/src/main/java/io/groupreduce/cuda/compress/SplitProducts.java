package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;

/**
 * Coordinates of rows by tensor cores, as exact as in binary32 but for how sums are taken: a number is the sum of three
 * terms of bfloat16, t_0 the largest, and a product takes the six of their nine products that count.
 *
 * <pre>
 * C = A P^T,   A: count x D, P: k x D
 * a p ~ a_2 p_0 + a_1 p_1 + a_0 p_2 + a_1 p_0 + a_0 p_1 + a_0 p_0
 * </pre>
 *
 * <p>Left out is, of either sign, what binary32 rounds away too. (With two terms and three products energies of rows that
 * hold one large number were off by 3e-5.) Tensor cores cut their sums, so that long ones come out too small: over 1,024
 * columns coordinates by 4e-6, energies by 8e-6. So columns are taken in chunks of {@value #CHUNK}, of each the small
 * products first, and cuBLAS adds chunks up in binary32: energies by 2e-6 at most.
 *
 * <p>Operations a row: 12 D k, where tensor cores do some fifteen for one of binary32. Bytes a row: 16 D to split it, 12 D
 * read, 4 k written, and 8 k read and written again for every chunk after the first. Never materialised: products of
 * single terms.
 */
final class SplitProducts {
    /** GR_SPLIT_COLUMNS of {@code compress.h}. */
    private static final int CHUNK = 256;

    /** Products of terms. */
    private static final int PRODUCTS = 6;

    private static final int UNIT = 8;
    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Cublas blas;
    private final int columns;
    private final int padded;
    private final Kernel split;
    private final Parameters parameters = new Parameters(32);

    /** For rows of so many numbers; {@code blas} stays the caller's. */
    SplitProducts(Device device, Cublas blas, int columns) {
        this.device = device;
        this.blas = blas;
        this.columns = columns;
        padded = stride(columns);
        split = device.kernel("gr_split_rows");
    }

    /** Numbers from the coordinates of a row to those of the next: cuBLAS's fastest kernels store 16 bytes at a time. */
    static int stride(int width) {
        return Math.ceilDiv(width, UNIT) * UNIT;
    }

    /** Bytes of the terms of a row. */
    long rowBytes() {
        return (long) PRODUCTS * Short.BYTES * padded;
    }

    /**
     * Splits rows.
     *
     * @param rows device address of count x D binary32
     * @param left whether they are what is projected, rather than directions
     * @param target device address of {@code count} times {@link #rowBytes}, a multiple of 16
     */
    void split(long rows, int count, boolean left, long target) {
        parameters.reset().address(rows, target).i32(count, columns, left ? 1 : 0);
        split.launch(Math.ceilDiv(count, THREADS / WARP), THREADS, parameters);
    }

    /**
     * Writes coordinates.
     *
     * @param rows the terms of {@code count} rows
     * @param directions those of {@code width} directions
     * @param target device address of binary32, rows {@link #stride} apart
     */
    void multiply(long rows, int count, long directions, int width, long target) {
        int leading = PRODUCTS * padded;
        for (int first = 0; first < padded; first += CHUNK) {
            int inner = PRODUCTS * Math.min(CHUNK, padded - first);
            long at = (long) PRODUCTS * Short.BYTES * first;
            // In columns: C^T, k x count, is P, k x D, times A^T.
            blas.gemmBf16(
                    width,
                    count,
                    inner,
                    1,
                    Operand.transposed(directions + at, leading),
                    Operand.of(rows + at, leading),
                    first == 0 ? 0 : 1,
                    Operand.of(target, stride(width)));
        }
    }
}
