package io.groupreduce.models.onnx;

import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Turns a matrix round in square tiles, so that both sides stay in the cache. */
final class Transpose {
    private static final int TILE = 32;

    private Transpose() {}

    /** {@code [rows, columns]} of elements of {@code size} bytes as {@code [columns, rows]}, outside the heap. */
    static MemorySegment of(MemorySegment from, long rows, long columns, int size) {
        MemorySegment to = Arena.ofAuto().allocate(rows * columns * size, Long.BYTES);
        for (long r = 0; r < rows; r += TILE) {
            for (long c = 0; c < columns; c += TILE) {
                long lastRow = Math.min(rows, r + TILE);
                long lastColumn = Math.min(columns, c + TILE);
                for (long row = r; row < lastRow; row++) {
                    for (long column = c; column < lastColumn; column++) {
                        copy(from, (row * columns + column) * size, to, (column * rows + row) * size, size);
                    }
                }
            }
        }
        return to.asReadOnly();
    }

    private static void copy(MemorySegment from, long at, MemorySegment to, long there, int size) {
        switch (size) {
            case Float.BYTES -> to.set(LittleEndian.I32, there, from.get(LittleEndian.I32, at));
            case Short.BYTES -> to.set(LittleEndian.I16, there, from.get(LittleEndian.I16, at));
            default -> MemorySegment.copy(from, at, to, there, size);
        }
    }
}
