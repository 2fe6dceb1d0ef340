package io.groupreduce.vector.training;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.vector.kernel.Lanes;
import java.lang.foreign.Arena;

/**
 * The right factors: full-precision numbers, what Adam remembers of them, and what is stored of them. They are small, so both
 * the stored and the decoded form are kept and renewed after every step.
 */
final class TrainedRight {
    private final int columns;
    private final int[] firstRow;
    private final float[][] values;
    private final float[][] first;
    private final float[][] second;
    private final float[][] sizes;
    private final EncodedMatrix[] stored;
    private final float[][] decoded;

    /** Takes up the stored factors as they are; {@code arena} holds the renewed ones. */
    TrainedRight(CompressedMatrix start, Arena arena) {
        int bases = start.bases();
        columns = start.columns();
        firstRow = new int[bases + 1];
        values = new float[bases][];
        first = new float[bases][];
        second = new float[bases][];
        sizes = new float[bases][];
        stored = new EncodedMatrix[bases];
        decoded = new float[bases][];
        for (int b = 0; b < bases; b++) {
            int rank = (int) start.right(b).rows();
            firstRow[b + 1] = firstRow[b] + rank;
            values[b] = start.decodedRight(b).clone();
            first[b] = new float[rank * columns];
            second[b] = new float[rank * columns];
            sizes[b] = new float[rank];
            stored[b] = start.right(b).copyTo(arena);
            decoded[b] = new float[Lanes.padRows(rank) * columns];
            System.arraycopy(values[b], 0, decoded[b], 0, rank * columns);
            for (int r = 0; r < rank; r++) {
                sizes[b][r] = AdamStep.size(values[b], r * columns, columns);
            }
        }
    }

    int bases() {
        return stored.length;
    }

    /** k_b. */
    int rank(int basis) {
        return firstRow[basis + 1] - firstRow[basis];
    }

    /** What is stored of a basis, k_b x D, with room for whole blocks of rows. */
    float[] decoded(int basis) {
        return decoded[basis];
    }

    /** The stored form of a basis. */
    EncodedMatrix stored(int basis) {
        return stored[basis];
    }

    /** How many rows all bases have. */
    int rows() {
        return firstRow[firstRow.length - 1];
    }

    /** The basis that row {@code row} of all belongs to. */
    int basisOf(int row) {
        int basis = 0;
        while (row >= firstRow[basis + 1]) {
            basis++;
        }
        return basis;
    }

    /** The place in its basis of row {@code row} of all. */
    int rowInBasis(int row) {
        return row - firstRow[basisOf(row)];
    }

    /** Moves row {@code row} of a basis and stores it anew; different rows may be moved by different threads. */
    void update(int basis, int row, float[] gradient, int from, AdamStep step) {
        int at = row * columns;
        step.apply(values[basis], first[basis], second[basis], at, columns, gradient, from, sizes[basis][row]);
        stored[basis].encodeRow(row, values[basis], at);
        stored[basis].decodeRow(row, decoded[basis], at);
    }
}
