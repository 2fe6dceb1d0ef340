package io.groupreduce.models.gguf;

import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/** Numbers of matrices as binary32, whatever their type. */
final class GgufNumbers {
    /** Numbers that are decoded at a time. */
    private static final int PIECE = 1 << 16;

    private GgufNumbers() {}

    /** All numbers of a quantised tensor in memory outside the heap, which is freed when nobody has it any more. */
    static MemorySegment decode(GgufTensor tensor) {
        BlockLayout layout = BlockLayout.of(tensor.type()).orElseThrow();
        long count = tensor.data().byteSize()
                / tensor.type().blockBytes()
                * tensor.type().blockElements();
        MemorySegment numbers = Arena.ofAuto().allocate(Math.max(1, count) * Float.BYTES, Long.BYTES);
        int pieces = Math.toIntExact((count + PIECE - 1) / PIECE);
        IntStream.range(0, pieces).parallel().forEach(piece -> {
            long first = (long) piece * PIECE;
            float[] some = new float[(int) Math.min(PIECE, count - first)];
            layout.decode(tensor.data(), tensor.type().bytes(first), some, 0, some.length);
            MemorySegment.copy(some, 0, numbers, LittleEndian.F32, first * Float.BYTES, some.length);
        });
        return numbers.asSlice(0, count * Float.BYTES).asReadOnly();
    }

    /** Reads {@code count} rows of a matrix of a type that is read. */
    static void readRows(GgufTensor matrix, long first, int count, float[] target, int offset) {
        int columns = (int) matrix.shape()[1];
        int numbers = count * columns;
        long at = matrix.type().bytes(first * columns);
        MemorySegment data = matrix.data();
        switch (matrix.type()) {
            case F32 -> MemorySegment.copy(data, LittleEndian.F32, at, target, offset, numbers);
            case F16 -> {
                for (int j = 0; j < numbers; j++) {
                    target[offset + j] = Float.float16ToFloat(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            case BF16 -> {
                for (int j = 0; j < numbers; j++) {
                    target[offset + j] = Bf16.widen(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            default -> BlockLayout.of(matrix.type()).orElseThrow().decode(data, at, target, offset, numbers);
        }
    }
}
