package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.GroupReduceException;
import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.function.Executable;

/** Files and assertions that several tests of this package need. */
final class FormatFixtures {
    private FormatFixtures() {}

    /** The bytes of a safetensors file with this header, as it is, and this data. */
    static byte[] safetensors(String header, byte[] data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data)
                .array();
    }

    static Path write(Path directory, String name, byte[] content) {
        try {
            return Files.write(directory.resolve(name), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Path write(Path directory, String name, String content) {
        return write(directory, name, content.getBytes(StandardCharsets.UTF_8));
    }

    static Tensor f32(String name, long[] shape, float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return new Tensor(name, DType.F32, shape, MemorySegment.ofArray(bytes.array()));
    }

    static Tensor i64(String name, long... values) {
        ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asLongBuffer().put(values);
        return new Tensor(name, DType.I64, new long[] {values.length}, MemorySegment.ofArray(bytes.array()));
    }

    static Tensor i32(String name, int... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return new Tensor(name, DType.I32, new long[] {values.length}, MemorySegment.ofArray(bytes.array()));
    }

    /** A matrix of rows x columns with the numbers {@code start}, {@code start + 1}, ... */
    static Tensor matrix(String name, int rows, int columns, float start) {
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = start + i;
        }
        return f32(name, new long[] {rows, columns}, values);
    }

    /** Fails unless exactly this type is thrown, with one line that ends as a sentence and names all of {@code parts}. */
    static <T extends GroupReduceException> T assertFails(Class<T> type, Executable action, Object... parts) {
        T failure = assertThrows(type, action);
        assertEquals(type, failure.getClass());
        assertSentence(failure.getMessage());
        for (Object part : parts) {
            String text = String.valueOf(part);
            assertTrue(failure.getMessage().contains(text), () -> failure.getMessage() + " does not say: " + text);
        }
        return failure;
    }

    static void assertSentence(String message) {
        assertFalse(message.isBlank());
        assertFalse(message.chars().anyMatch(Character::isISOControl), message);
        assertTrue(message.endsWith("."), message);
        assertTrue(message.length() < 1500, message);
    }

    /** The names of all files in a directory, sorted; a forgotten temporary file shows up here. */
    static List<String> names(Path directory) {
        try (Stream<Path> list = Files.list(directory)) {
            return list.map(p -> p.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
