package io.groupreduce.cuda.blas;

/**
 * A column-major matrix on the device, as a product reads or writes it.
 *
 * @param address of its first number; of a batch, of the table of the matrices' addresses
 * @param leading the leading dimension: numbers from a column to the next
 * @param transposed whether a product reads its transpose; a result is never transposed
 */
public record Operand(long address, int leading, boolean transposed) {
    /** As it is. */
    public static Operand of(long address, int leading) {
        return new Operand(address, leading, false);
    }

    /** Read as its transpose. */
    public static Operand transposed(long address, int leading) {
        return new Operand(address, leading, true);
    }
}
