package io.groupreduce.matrix;

/**
 * How the rows of a group are stored.
 *
 * @param basis the number of the basis, {@link #DENSE} or {@link #ZERO}
 * @param rank directions kept; D when dense, 0 when zero
 * @param codec how the left factor or the dense rows are stored
 */
public record GroupPlan(int basis, int rank, Codec codec) {
    /** The most groups a matrix has: a byte numbers them, and its last value stands for a row that has none. */
    public static final int MAX_GROUPS = 255;

    /** The basis number, in the file too, of a group whose rows are stored as they are. */
    public static final int DENSE = 255;

    /** The basis number, in the file too, of a group whose rows are all zero. */
    public static final int ZERO = 254;

    public boolean isDense() {
        return basis == DENSE;
    }

    public boolean isZero() {
        return basis == ZERO;
    }

    /** Whether rows are a product of a left and a right factor. */
    public boolean isLowRank() {
        return basis < ZERO;
    }
}
