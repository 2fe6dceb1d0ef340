package io.groupreduce.benchmarks;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Device;
import io.groupreduce.internal.compress.Weights;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import io.groupreduce.testkit.SyntheticMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * The steps of a compression on a seeded matrix of {@value #ROWS} x {@value #COLUMNS}, and the same work in OpenBLAS on the same
 * bytes. Steps go through the backend seam, so what is timed is what a compression runs: reading, gathering and scaling
 * included.
 */
final class StepFixture implements AutoCloseable {
    static final int ROWS = 16384;
    static final int COLUMNS = 1024;
    static final int RANK = 128;

    private static final long SEED = 42;

    private final Arena arena = Arena.ofShared();
    private final OpenBlas openBlas = new OpenBlas();
    private final ComputeBackend backend;
    private final CompressionProblem problem;
    private final CompressionWorkspace workspace;
    private final byte[] oneGroup = new byte[ROWS];
    private final byte[] nowhere = new byte[ROWS];
    private final EncodedMatrix left;
    private final Directions directions;
    private CompressionWorkspace fresh;

    private final Matrix matrix = new SyntheticMatrix(SEED, COLUMNS, 0.5).offHeap(arena, ROWS);
    private final MemorySegment data = matrix.data();
    private final MemorySegment scaled = floats((long) ROWS * COLUMNS);
    private final MemorySegment gram = floats((long) COLUMNS * COLUMNS);
    private final MemorySegment projection = floats((long) COLUMNS * RANK);
    private final MemorySegment product = floats((long) ROWS * RANK);
    private final MemorySegment symmetric = floats((long) COLUMNS * COLUMNS);
    private final MemorySegment symmetricWide = arena.allocate((long) COLUMNS * COLUMNS * Double.BYTES, 64);
    private final MemorySegment values = arena.allocate((long) COLUMNS * Double.BYTES, 64);
    private final MemorySegment vectors = floats((long) COLUMNS * RANK);
    private final MemorySegment integers = arena.allocate((2L * COLUMNS + 1) * Integer.BYTES, 64);
    private final float[] buffer = new float[COLUMNS];
    private final float[] weights;

    StepFixture(int threads) {
        backend = ComputeBackend.of(BackendSelection.select(Device.CPU, threads).backend());
        openBlas.threads(threads);
        weights = Weights.scaledToMeanOne(Weights.raw(SyntheticMatrix.zipfCounts(SEED, ROWS, 100.0 * ROWS), 1));
        Arrays.fill(nowhere, (byte) GroupPlan.DENSE);
        problem = CompressionProblem.weighted(matrix, weights);
        workspace = backend.open(problem);
        left = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, RANK), ROWS, RANK);
        workspace.accumulate(oneGroup, 1);
        workspace.decompose(new int[] {RANK});
        directions = workspace.directions(0, RANK);
        float[] right = directions.right();
        for (int k = 0; k < RANK; k++) {
            for (int j = 0; j < COLUMNS; j++) {
                projection.setAtIndex(ValueLayout.JAVA_FLOAT, (long) j * RANK + k, right[k * COLUMNS + j]);
            }
        }
        gramPeer();
    }

    private MemorySegment floats(long count) {
        return arena.allocate(count * Float.BYTES, 64);
    }

    /** Forgets the Gram matrix, so that {@link #gram} starts from nothing. */
    void forget() {
        workspace.accumulate(nowhere, 1);
    }

    /** The weighted Gram matrix of all rows. */
    void gram() {
        workspace.accumulate(oneGroup, 1);
    }

    /** Rows times the roots of their weights (plain Java, one thread), then ssyrk. */
    void gramPeer() {
        for (long i = 0; i < ROWS; i++) {
            long at = i * COLUMNS * Float.BYTES;
            MemorySegment.copy(data, ValueLayout.JAVA_FLOAT, at, buffer, 0, COLUMNS);
            scale(buffer, (float) Math.sqrt(weights[(int) i]));
            MemorySegment.copy(buffer, 0, scaled, ValueLayout.JAVA_FLOAT, at, COLUMNS);
        }
        gramOfScaledPeer();
    }

    /** A loop over an array, which the compiler turns into vector instructions. */
    private static void scale(float[] row, float factor) {
        for (int j = 0; j < row.length; j++) {
            row[j] *= factor;
        }
    }

    /** Nothing but ssyrk, on the rows that {@link #gramPeer} scaled: less than {@link #gram} does. */
    void gramOfScaledPeer() {
        openBlas.gram(ROWS, COLUMNS, scaled, gram);
    }

    /** The left factor of all rows: A times a projection, stored. */
    void project() {
        workspace.encodeLeft(oneGroup, List.of(GroupPlan.of(0, RANK, Codec.F32)), List.of(directions), List.of(left));
    }

    /** The same product by sgemm. */
    void projectPeer() {
        openBlas.multiply(ROWS, RANK, COLUMNS, data, projection, product);
    }

    /** A workspace that has a Gram matrix but has never been decomposed: no vectors to start from. */
    void freshGram() {
        if (fresh != null) {
            fresh.close();
        }
        fresh = backend.open(problem);
        fresh.accumulate(oneGroup, 1);
    }

    /** The leading eigenvectors, from nothing. */
    void eigen() {
        fresh.decompose(new int[] {RANK});
    }

    /** All eigenvectors. */
    void eigenFull() {
        fresh.decompose(new int[] {COLUMNS});
    }

    /** Copies of the Gram matrix for LAPACK, which overwrites them. */
    void copyGram() {
        for (long x = 0; x < (long) COLUMNS * COLUMNS; x++) {
            float value = gram.getAtIndex(ValueLayout.JAVA_FLOAT, x);
            symmetric.setAtIndex(ValueLayout.JAVA_FLOAT, x, value);
            symmetricWide.setAtIndex(ValueLayout.JAVA_DOUBLE, x, value);
        }
    }

    /** The leading eigenvectors by ssyevr. */
    void eigenPeer() {
        openBlas.eigenLeading(COLUMNS, RANK, symmetric, values, vectors, integers);
    }

    /** All eigenvectors by dsyevd. */
    void eigenFullPeer() {
        openBlas.eigenDouble(COLUMNS, symmetricWide, values);
    }

    @Override
    public void close() {
        if (fresh != null) {
            fresh.close();
        }
        workspace.close();
        backend.close();
        arena.close();
    }
}
