package io.groupreduce.vector.kernel;

/**
 * What rows of A are multiplied by to get coordinates.
 *
 * @param rows row j is column j of P: numbers of D, {@code stride} apart
 * @param stride how far rows are apart, at least D
 */
public record Projection(float[] rows, int stride) {
    /** The first {@code rank} columns of P as the right operand of a product with rows of A. */
    public PackedMatrix packed(int columns, int rank) {
        return PackedMatrix.ofTransposed(rows, columns, rank, stride);
    }
}
