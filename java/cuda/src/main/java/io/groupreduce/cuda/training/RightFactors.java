package io.groupreduce.cuda.training;

import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.CompressedMatrix;

/**
 * The right factors as binary32, k_b x D, one behind the other on the card: small, so that they are decoded once a
 * step.
 */
final class RightFactors {
    private final StoredFactors stored;
    private final int columns;
    /** Of every basis, the rows of the bases before it; the last entry counts all. */
    private final int[] firstRow;

    private final DeviceMemory decoded;

    /**
     * Decodes the right factors.
     *
     * @throws OutOfDeviceMemoryException if there is no room for them
     */
    RightFactors(Owned owned, CompressedMatrix matrix, StoredFactors stored) {
        this.stored = stored;
        columns = matrix.columns();
        firstRow = new int[matrix.bases() + 1];
        for (int b = 0; b < matrix.bases(); b++) {
            firstRow[b + 1] = firstRow[b] + (int) matrix.right(b).rows();
        }
        decoded = owned.allocate(4L * rows() * columns, "the decoded right factors");
        refresh();
    }

    /** Decodes them anew after they were trained. */
    void refresh() {
        for (int b = 0; b < bases(); b++) {
            stored.decode(stored.right(b), address(b), columns);
        }
    }

    int bases() {
        return firstRow.length - 1;
    }

    /** Rows of all right factors. */
    int rows() {
        return firstRow[bases()];
    }

    /** The rows of the bases before this one. */
    int firstRow(int basis) {
        return firstRow[basis];
    }

    /** k_b. */
    int rank(int basis) {
        return firstRow[basis + 1] - firstRow[basis];
    }

    /** D. */
    int columns() {
        return columns;
    }

    /** The device address of a right factor. */
    long address(int basis) {
        return decoded.address() + 4L * firstRow[basis] * columns;
    }
}
