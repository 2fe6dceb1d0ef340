package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.blas.CudaTruncatedEigen;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Directions;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The bases: the leading eigenvectors of the Gram matrices under the metric, on the card.
 *
 * <pre>S G_b S = sum over j of lambda_j v_j v_j^T</pre>
 *
 * <p>The metric is applied to the D x D matrices in binary64 and never to a row. As many matrices as memory has room
 * for are solved together. Kept for every basis: V^T (k x D, binary64) and V^T S (k x D, binary32), what rows are
 * multiplied with.
 */
final class CudaBasisSolver {
    /** D x D matrices of binary64 that one basis needs while it is solved; most of them are the solver's. */
    private static final int SQUARES = 6;

    private static final int THREADS = 256;

    private final Device device;
    private final Cublas blas;
    private final DeviceMetric metric;
    private final int columns;
    private final CudaTruncatedEigen eigen;
    private final Kernel narrow;
    private final Parameters parameters = new Parameters(32);
    private final WorkMemory copies;
    private final WorkMemory product;
    private final WorkMemory found;
    private final WorkMemory direction32;
    private int[] ranks = {};
    private long[] starts = {};
    private final WorkMemory vectors;
    private final WorkMemory projections;

    /** Holds nothing yet. */
    CudaBasisSolver(Owned owned, Cublas blas, DeviceMetric metric, int columns) {
        device = owned.device();
        this.blas = blas;
        this.metric = metric;
        this.columns = columns;
        eigen = owned.add(new CudaTruncatedEigen(device, blas));
        owned.addPassing(eigen::forget);
        narrow = device.kernel("gr_narrow");
        copies = owned.work("Gram matrices to decompose");
        product = owned.work("a product with the metric");
        found = owned.work("eigenvectors");
        direction32 = owned.work("right factors");
        vectors = owned.add(new WorkMemory(device, "the vectors of all bases"));
        projections = owned.add(new WorkMemory(device, "the projections of all bases"));
    }

    /** Decomposes all Gram matrices and replaces the bases; a basis of rank 0 gets its trace alone. */
    List<Spectrum> decompose(CudaGramMatrices grams, int[] wanted) {
        ranks = Arrays.copyOf(wanted, grams.bases());
        starts = new long[ranks.length + 1];
        for (int b = 0; b < ranks.length; b++) {
            starts[b + 1] = starts[b] + (long) ranks[b] * columns;
        }
        vectors.reserve(8 * starts[ranks.length]);
        projections.reserve(4 * starts[ranks.length]);
        long square = 8L * columns * columns;
        long room = device.availableMemory() + copies.bytes() + found.bytes();
        int most = Math.clamp(room / (SQUARES * square), 1, Math.max(1, ranks.length));
        List<Spectrum> spectra = new ArrayList<>();
        for (int first = 0; first < ranks.length; first += most) {
            if (most < ranks.length) {
                // The solver would begin with the vectors of other bases.
                eigen.forget();
            }
            spectra.addAll(decompose(grams, first, Math.min(most, ranks.length - first)));
        }
        return List.copyOf(spectra);
    }

    private List<Spectrum> decompose(CudaGramMatrices grams, int first, int count) {
        long square = 8L * columns * columns;
        double[] trace = copyAll(grams, first, count);
        long pairs = found.atLeast(count * square);
        int[] some = Arrays.copyOfRange(ranks, first, first + count);
        List<double[]> values = eigen.leading(copies.address(), columns, some, pairs, trace);
        List<Spectrum> spectra = new ArrayList<>();
        for (int s = 0; s < count; s++) {
            if (some[s] > 0) {
                keep(first + s, pairs + s * square);
            }
            double[] lambda =
                    Arrays.stream(values.get(s)).map(v -> Math.max(0, v)).toArray();
            spectra.add(new Spectrum(Math.max(0, trace[s]), lambda));
        }
        return spectra;
    }

    /** Puts {@code S G S} of some bases one behind the other and returns their traces. */
    private double[] copyAll(CudaGramMatrices grams, int first, int count) {
        long square = 8L * columns * columns;
        long target = copies.atLeast(count * square);
        for (int s = 0; s < count; s++) {
            device.stream().copy(target + s * square, grams.gram(first + s), square);
        }
        if (metric.present()) {
            eigen.mirror(target, columns, count);
            long half = product.atLeast(square);
            for (int s = 0; s < count; s++) {
                long gram = target + s * square;
                multiply(metric.root64(), gram, half, columns);
                multiply(half, metric.root64(), gram, columns);
            }
        }
        return eigen.traces(target, columns, count);
    }

    /** Keeps the eigenvectors of a basis, k x D, and their product with S. */
    private void keep(int basis, long pairs) {
        long numbers = (long) ranks[basis] * columns;
        device.stream().copy(vectors(basis), pairs, 8 * numbers);
        narrow(times(pairs, ranks[basis], metric.present() ? metric.root64() : 0), projection(basis), numbers);
    }

    /** {@code V^T square}, k x D in binary64, or V^T itself when {@code square} is 0. */
    private long times(long rows, int rank, long square) {
        if (square == 0) {
            return rows;
        }
        long result = product.atLeast(8L * columns * columns);
        // In columns: (V^T S)^T, D x k, is S, symmetric, times V.
        multiply(square, rows, result, rank);
        return result;
    }

    /** {@code c = a b} in columns: a is D x D, b and c are D x width. */
    private void multiply(long a, long b, long c, int width) {
        blas.dgemm(
                columns, width, columns, 1, Operand.of(a, columns), Operand.of(b, columns), 0, Operand.of(c, columns));
    }

    private long vectors(int basis) {
        return vectors.address() + 8 * starts[basis];
    }

    /** The device address of V^T S, k x D in binary32. */
    long projection(int basis) {
        return projections.address() + 4 * starts[basis];
    }

    /** The first {@code rank} directions of a basis. */
    Directions directions(int basis, int rank) {
        float[] projection = new float[rank * columns];
        device.download(projections.memory(), 4 * starts[basis], MemorySegment.ofArray(projection));
        if (!metric.present() || rank == 0) {
            return new Directions(rank, projection, projection.clone(), null);
        }
        float[] right = new float[projection.length];
        long target = direction32.atLeast(4L * right.length);
        narrow(times(vectors(basis), rank, metric.inverse64()), target, right.length);
        device.download(direction32.memory(), 0, MemorySegment.ofArray(right));
        return new Directions(rank, projection, right, null);
    }

    /** Rounds {@code count} numbers to binary32. */
    private void narrow(long from, long to, long count) {
        narrow.launch(
                Math.ceilDiv(count, THREADS),
                THREADS,
                parameters.reset().address(from, to).i64(count));
    }
}
