package io.groupreduce.models.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes GGUF files as their specification says, independently of the code under test, and wrong ones on request. */
final class TestGguf {
    private record Entry(String name, int type, long[] sides, byte[] data) {}

    private final Map<String, Object> metadata = new LinkedHashMap<>();
    private final List<Entry> tensors = new ArrayList<>();
    int version = 3;
    int alignment = 32;
    /** Of the head, the metadata and the entries; data stay little-endian. */
    ByteOrder order = ByteOrder.LITTLE_ENDIAN;

    /** Added to the place of each tensor's data. */
    long shift;

    /** A number that the file writes in place of its count of tensors. */
    Long claimedTensors;

    /** A value whose kind is told by its class. */
    TestGguf with(String key, Object value) {
        metadata.put(key, value);
        return this;
    }

    /** @param sides the first is the length of a row */
    TestGguf tensor(String name, int type, byte[] data, long... sides) {
        tensors.add(new Entry(name, type, sides, data));
        return this;
    }

    TestGguf floats(String name, float[] values, long... sides) {
        return tensor(name, 0, little(values), sides);
    }

    static byte[] little(float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putFloat(value);
        }
        return bytes.array();
    }

    Path write(Path file) {
        try {
            return Files.write(file, bytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    byte[] bytes() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
        int32(out, version);
        int64(out, claimedTensors == null ? tensors.size() : claimedTensors);
        int64(out, metadata.size());
        metadata.forEach((key, value) -> {
            text(out, key);
            int32(out, kind(value));
            value(out, value);
        });
        long at = 0;
        for (Entry tensor : tensors) {
            text(out, tensor.name);
            int32(out, tensor.sides.length);
            for (long side : tensor.sides) {
                int64(out, side);
            }
            int32(out, tensor.type);
            int64(out, at + shift);
            at += padded(tensor.data.length);
        }
        for (Entry tensor : tensors) {
            out.writeBytes(new byte[padded(out.size()) - out.size()]);
            out.writeBytes(tensor.data);
        }
        return out.toByteArray();
    }

    private int padded(int length) {
        return (length + alignment - 1) / alignment * alignment;
    }

    private static int kind(Object value) {
        Map<Class<?>, Integer> kinds = Map.ofEntries(
                Map.entry(Byte.class, 1),
                Map.entry(Short.class, 2),
                Map.entry(Integer.class, 4),
                Map.entry(Float.class, 6),
                Map.entry(Boolean.class, 7),
                Map.entry(String.class, 8),
                Map.entry(Long.class, 10),
                Map.entry(Double.class, 12));
        return value instanceof List ? 9 : kinds.get(value.getClass());
    }

    private void value(ByteArrayOutputStream out, Object value) {
        if (value instanceof List<?> list) {
            int32(out, list.isEmpty() ? 4 : kind(list.get(0)));
            int64(out, list.size());
            list.forEach(element -> value(out, element));
        } else if (value instanceof String text) {
            text(out, text);
        } else if (value instanceof Integer number) {
            int32(out, number);
        } else if (value instanceof Long number) {
            int64(out, number);
        } else if (value instanceof Float number) {
            int32(out, Float.floatToRawIntBits(number));
        } else if (value instanceof Double number) {
            int64(out, Double.doubleToRawLongBits(number));
        } else if (value instanceof Short number) {
            out.writeBytes(ByteBuffer.allocate(2).order(order).putShort(number).array());
        } else {
            out.write(value instanceof Boolean flag ? flag ? 1 : 0 : (Byte) value);
        }
    }

    private void text(ByteArrayOutputStream out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int64(out, bytes.length);
        out.writeBytes(bytes);
    }

    private void int32(ByteArrayOutputStream out, int number) {
        out.writeBytes(ByteBuffer.allocate(4).order(order).putInt(number).array());
    }

    private void int64(ByteArrayOutputStream out, long number) {
        out.writeBytes(ByteBuffer.allocate(8).order(order).putLong(number).array());
    }
}
