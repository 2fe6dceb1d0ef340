package io.groupreduce.internal.check;

import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;

/** What a matrix and its counts must be like before they may be compressed. */
public final class CompressionChecks {
    private CompressionChecks() {}

    /**
     * Several threads may read the matrix, and its Gram matrix, D x D, fits an array.
     *
     * @throws io.groupreduce.error.InvalidOptionException if only one thread may read it
     * @throws InvalidDataException if it is too wide
     */
    public static void requireShape(Matrix matrix) {
        Shareable.require(matrix);
        if (matrix.columns() > CompressedMatrix.MAX_COLUMNS) {
            throw new InvalidDataException(
                    matrix.name() + " has " + matrix.columns() + " columns; at most " + CompressedMatrix.MAX_COLUMNS
                            + " can be compressed, so transpose it if rows and columns are exchanged.");
        }
    }

    /** @throws DeviceException if the eigensolver is not there, without which queries run but no compression */
    public static void requireSolver() {
        try {
            Class.forName(
                    "org.ojalgo.matrix.decomposition.Eigenvalue", false, CompressionChecks.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new DeviceException(
                    "Compressing needs the eigensolver of ojAlgo, which is not there; add the artifact org.ojalgo:ojalgo"
                            + " (module ojalgo) to the program.",
                    e);
        }
    }

    /**
     * One count a row, none negative.
     *
     * @param counts {@code null} counts all alike
     * @return counts to use
     */
    public static long[] requireCounts(Matrix matrix, long[] counts) {
        if (counts == null) {
            return new long[matrix.rows()];
        }
        if (counts.length != matrix.rows()) {
            throw new InvalidDataException("There are " + counts.length + " counts for the " + matrix.rows()
                    + " rows of " + matrix.name() + "; give one count a row.");
        }
        for (int i = 0; i < counts.length; i++) {
            if (counts[i] < 0) {
                throw new InvalidDataException(
                        "The count of row " + i + " is " + counts[i] + "; counts must not be negative.");
            }
        }
        return counts;
    }
}
