package io.groupreduce.internal.check;

import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.util.Arrays;
import java.util.IntSummaryStatistics;
import java.util.Locale;

/** What a matrix and its counts must be like before they may be compressed. */
public final class CompressionChecks {
    private static final int FEWEST_SEEN = 30;
    private static final double STANDARD_ERRORS = 3;

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

    /**
     * That tokens which occur stand before those which do not, as they do in order of frequency: their mean row lies clearly below the
     * middle. A few tokens tell nothing.
     *
     * @param targets tokens of a text; those beyond the matrix are left out
     * @param source where they are from, for the message
     * @throws InvalidDataException if they lie as any tokens might
     */
    public static void requireFrequentFirst(Matrix matrix, int[] targets, String source) {
        double rows = matrix.rows();
        IntSummaryStatistics seen =
                Arrays.stream(targets).filter(token -> token < rows).distinct().summaryStatistics();
        double middle = (rows - 1) / 2;
        // The standard error of the mean of so many rows, drawn without putting back.
        double error = Math.sqrt((rows + 1) * (rows - seen.getCount()) / (12 * Math.max(1, seen.getCount())));
        if (seen.getCount() >= FEWEST_SEEN && middle - seen.getAverage() < STANDARD_ERRORS * error) {
            throw new InvalidDataException(String.format(
                    Locale.ROOT,
                    "The targets of %s do not bear --counts zipf out: the %d tokens that occur have row %.0f of %d on average, so %s is"
                            + " not in order of frequency; count its tokens with 'groupreduce count', or leave --counts out.",
                    source,
                    seen.getCount(),
                    seen.getAverage(),
                    matrix.rows(),
                    matrix.name()));
        }
    }
}
