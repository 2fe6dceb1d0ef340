package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Projection;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * The directions of a basis, in order of falling energy.
 *
 * @param rank how many
 * @param vectors row j is the eigenvector v_j; rank x D
 * @param projection row j is S v_j
 */
record Basis(int rank, float[] vectors, Projection projection) {
    /** Makes the projection of eigenvectors; {@code root} may be {@code null}. */
    static Basis of(Workers workers, int rank, float[] vectors, PackedMatrix root, int columns) {
        if (root == null || rank == 0) {
            return new Basis(rank, vectors, new Projection(vectors, columns));
        }
        int stride = Lanes.padColumns(columns);
        float[] padded = Arrays.copyOf(vectors, Lanes.padRows(rank) * columns);
        float[] projection = new float[Lanes.padRows(rank) * stride];
        Gemm.multiply(workers, padded, columns, rank, root, projection, stride);
        return new Basis(rank, vectors, new Projection(projection, stride));
    }
}
