package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Doubles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Orthonormalisation of the rows of X by Cholesky decompositions of their Gram matrix.
 *
 * <pre>X X^T = L L^T,   X &lt;- L^-1 X,   X: count x D</pre>
 *
 * <p>The products are in single precision, L in double. One pass squares the condition number and fails on a nearly dependent
 * block, so the first pass works on unit rows with a shift of the diagonal, which makes the block well conditioned, and up to
 * two more finish. Rows that are zero or dependent on earlier ones are replaced by fresh random rows: nothing divides by zero.
 *
 * <p>Bytes a pass: X packed twice (8 count D) and written once. Never materialised: anything D x D.
 */
final class Orthonormal {
    private static final int PASSES = 3;

    /** How far X X^T may be from the identity, entry by entry: single precision does not get much lower. */
    private static final double CLOSE = 3e-6;

    /** A pivot of a unit row below this is rounding noise of the Gram matrix: the row depends on earlier ones. */
    private static final double DEPENDENT = 1e-5;

    private final Workers workers;
    private final int count;
    private final int columns;
    private final int stride;
    private final SplittableRandom random;
    private final int gramStride;
    private final float[] gram;
    private final double[] factor;
    private final double[] inverse;
    private final float[] scratch = new float[Lanes.LANES];

    Orthonormal(Workers workers, int count, int columns, int stride, SplittableRandom random) {
        this.workers = workers;
        this.count = count;
        this.columns = columns;
        this.stride = stride;
        this.random = random;
        gramStride = Lanes.padColumns(count);
        gram = new float[Lanes.padRows(count) * gramStride];
        factor = new double[count * count];
        inverse = new double[count * count];
    }

    /** Writes fresh random numbers to row {@code r}. */
    void randomize(float[] x, int r) {
        for (int j = 0; j < columns; j++) {
            x[r * stride + j] = (float) random.nextDouble(-1, 1);
        }
    }

    /** Makes the rows of {@code x} orthonormal; returns where they are now, {@code x} or {@code spare}. */
    float[] apply(float[] x, float[] spare) {
        float[] from = x;
        float[] to = spare;
        for (int pass = 0; pass < PASSES; ) {
            if (pass == 0) {
                normalize(from);
            }
            Gemm.multiply(
                    workers,
                    from,
                    stride,
                    count,
                    PackedMatrix.ofTransposed(from, columns, count, stride),
                    gram,
                    gramStride);
            if (pass > 0 && deviation() < CLOSE) {
                break;
            }
            // The size of the rounding errors in the Gram matrix of unit rows.
            double shift = pass == 0 ? 1e-6 * Math.sqrt(count) : 0;
            if (!decompose(shift, from)) {
                pass = 0;
                continue;
            }
            Gemm.multiply(workers, invert(), count, count, PackedMatrix.of(from, count, columns, stride), to, stride);
            float[] swap = from;
            from = to;
            to = swap;
            pass++;
        }
        return from;
    }

    private void normalize(float[] x) {
        for (int r = 0; r < count; r++) {
            double norm = Math.sqrt(Lanes.squares(x, r * stride, columns, scratch));
            if (!(norm > Float.MIN_NORMAL)) {
                randomize(x, r);
                norm = Math.sqrt(Lanes.squares(x, r * stride, columns, scratch));
            }
            float scale = (float) (1 / norm);
            for (int j = r * stride; j < r * stride + columns; j++) {
                x[j] *= scale;
            }
        }
    }

    private double deviation() {
        double largest = 0;
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < count; j++) {
                largest = Math.max(largest, Math.abs(gram[i * gramStride + j] - (i == j ? 1 : 0)));
            }
        }
        return largest;
    }

    /** Gram matrix plus shift = factor^T factor, factor upper triangular; false after replacing dependent rows of x. */
    private boolean decompose(double shift, float[] x) {
        for (int i = 0; i < count; i++) {
            for (int j = i; j < count; j++) {
                factor[i * count + j] = gram[i * gramStride + j];
            }
            factor[i * count + i] += shift;
        }
        boolean independent = true;
        for (int k = 0; k < count; k++) {
            int row = k * count;
            double pivot = factor[row + k];
            if (shift == 0 && !(pivot > DEPENDENT)) {
                randomize(x, k);
                independent = false;
                // Out of the way: the rows below are judged without it.
                Arrays.fill(factor, row + k, row + count, 0);
                continue;
            }
            double scale = 1 / Math.sqrt(pivot);
            for (int j = k; j < count; j++) {
                factor[row + j] *= scale;
            }
            for (int i = k + 1; i < count; i++) {
                Doubles.add(factor, i * count + i, -factor[row + i], factor, row + i, count - i);
            }
        }
        return independent;
    }

    /** The inverse of the transposed factor, lower triangular, count x count, in single precision. */
    private float[] invert() {
        for (int i = 0; i < count; i++) {
            int row = i * count;
            Arrays.fill(inverse, row, row + count, 0);
            inverse[row + i] = 1;
            for (int k = 0; k < i; k++) {
                Doubles.add(inverse, row, -factor[k * count + i], inverse, k * count, k + 1);
            }
            double scale = 1 / factor[row + i];
            for (int j = 0; j <= i; j++) {
                inverse[row + j] *= scale;
            }
        }
        float[] single = new float[Lanes.padRows(count) * count];
        for (int x = 0; x < inverse.length; x++) {
            single[x] = (float) inverse[x];
        }
        return single;
    }
}
