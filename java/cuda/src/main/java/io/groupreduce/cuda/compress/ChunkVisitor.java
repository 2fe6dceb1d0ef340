package io.groupreduce.cuda.compress;

/** Works on some rows of the matrix while they lie on the card. */
@FunctionalInterface
public interface ChunkVisitor {
    /**
     * Queues work on {@code device.stream()}; the rows stay until that work is through.
     *
     * @param values device address of {@code count} x D binary32, row-major
     * @param first the row that {@code values} begins with
     * @param count at least 1, at most {@link DeviceMatrix#chunkRows}
     */
    void visit(long values, int first, int count);
}
