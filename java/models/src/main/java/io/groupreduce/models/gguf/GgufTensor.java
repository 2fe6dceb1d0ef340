package io.groupreduce.models.gguf;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * A tensor of a GGUF file.
 *
 * @param shape sides as other formats have them: rows first, the reverse of what the file says
 * @param data its bytes, mapped
 * @param file what holds them
 */
public record GgufTensor(String name, GgufType type, long[] shape, MemorySegment data, Path file) {
    public GgufTensor {
        shape = shape.clone();
        data = data.asReadOnly();
    }

    /** A copy of the sides. */
    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** Whether it has rows and columns. */
    public boolean isMatrix() {
        return shape.length == 2 && shape[0] > 0 && shape[1] > 0;
    }
}
