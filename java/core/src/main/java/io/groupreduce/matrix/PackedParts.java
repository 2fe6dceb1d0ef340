package io.groupreduce.matrix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a file holds of a packed matrix in place of group numbers, codes and scales. See {@link
 * io.groupreduce.internal.packed.PackedMatrix}.
 *
 * @param rows group numbers and codes of all N rows, entropy-coded: as many bytes as they came to
 * @param right the right factor, K x D, likewise
 */
public record PackedParts(MemorySegment rows, MemorySegment right) {
    /** The same, bit for bit, in memory of {@code arena}. */
    PackedParts copyTo(Arena arena) {
        return new PackedParts(
                arena.allocate(rows.byteSize()).copyFrom(rows),
                arena.allocate(right.byteSize()).copyFrom(right));
    }

    /** Bytes of both. */
    public long bytes() {
        return rows.byteSize() + right.byteSize();
    }
}
