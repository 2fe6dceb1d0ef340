package io.groupreduce.matrix;

/**
 * How the rows of a group are stored.
 *
 * @param basis the number of the basis, {@link #DENSE} or {@link #ZERO}
 * @param profile bits of each coordinate, of directions 0 to rank - 1; of each of D numbers when dense; none when zero
 */
public record GroupPlan(int basis, BitProfile profile) {
    /** The most groups a matrix has: a byte numbers them, and its last value stands for a row that has none. */
    public static final int MAX_GROUPS = 255;

    /** The basis number, in the file too, of a group whose rows are stored as they are. */
    public static final int DENSE = 255;

    /** The basis number, in the file too, of a group whose rows are all zero. */
    public static final int ZERO = 254;

    /** Rows that are all zero. */
    public static GroupPlan zero() {
        return new GroupPlan(ZERO, BitProfile.EMPTY);
    }

    /** Coordinates of a basis, all stored in one codec. */
    public static GroupPlan of(int basis, int rank, Codec codec) {
        return new GroupPlan(basis, BitProfile.of(codec, rank));
    }

    /** Rows of {@code columns} numbers that are stored as they are, in one codec. */
    public static GroupPlan dense(int columns, Codec codec) {
        return of(DENSE, columns, codec);
    }

    /**
     * Numbers of a row that share a scale: all coordinates do. Dense rows are long, and one scale for all of D numbers would be too coarse: of
     * codes of 8 bits those of a published embedding, 384 wide, lose half as much with a scale for each 32.
     */
    public int block() {
        return isDense() ? Math.min(CompressedMatrix.SCALE_BLOCK, rank()) : rank();
    }

    /** Directions kept; D when dense, 0 when zero. */
    public int rank() {
        return profile.width();
    }

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
