package io.groupreduce.models.gguf;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One file of a GGUF model: head, metadata, names of tensors, their data. Layout: docs/gguf.md of the ggml project. */
final class GgufPart {
    /** "GGUF" as a little-endian number. */
    static final int MAGIC = 0x46554747;

    static final int OLDEST = 2;
    static final int NEWEST = 3;
    static final String ALIGNMENT = "general.alignment";
    private static final int DEFAULT_ALIGNMENT = 32;

    /** Bytes of a pair and of a tensor's entry at least: empty names, one byte of value, no sides. */
    private static final int LEAST_PAIR = 13;

    private static final int LEAST_ENTRY = 24;

    private static final int MOST_SIDES = 4;

    /** A tensor as the header names it, its data to begin at {@code offset} after the header. */
    private record Entry(String name, GgufType type, long[] shape, long offset, long bytes) {}

    private final Path path;
    private final MemorySegment content;
    private final GgufMetadata metadata;
    private final Map<String, GgufTensor> tensors = new LinkedHashMap<>();
    private final long alignment;
    private final int version;

    GgufPart(Path path, Arena arena) {
        this.path = path;
        content = InputFile.map(path, arena);
        GgufCursor cursor = new GgufCursor(path, content, 0);
        if (content.byteSize() < Integer.BYTES || cursor.int32() != MAGIC) {
            throw new MalformedFileException(
                    Wording.file(path) + " is no GGUF file: it does not begin with \"GGUF\"; download it again.");
        }
        version = cursor.int32();
        requireReadable();
        long count = cursor.count("tensors", LEAST_ENTRY);
        long pairs = cursor.count("pairs of metadata", LEAST_PAIR);
        metadata = new GgufMetadata(path, content, cursor, pairs);
        alignment = metadata.integer(ALIGNMENT).orElse(DEFAULT_ALIGNMENT);
        if (alignment <= 0 || alignment % Long.BYTES != 0 || alignment > Integer.MAX_VALUE) {
            throw new MalformedFileException(Wording.file(path) + " aligns its tensors to " + alignment
                    + " bytes, which is no multiple of 8; convert the model again.");
        }
        List<Entry> entries = new ArrayList<>();
        for (long i = 0; i < count; i++) {
            entries.add(entry(cursor));
        }
        place(entries, padded(cursor.at()));
    }

    /** Another byte order shows as a version whose low half is 0. */
    private void requireReadable() {
        if ((version & 0xffff) == 0 && version != 0) {
            throw new InvalidDataException(Wording.file(path)
                    + " is a big-endian GGUF file, as for IBM mainframes; start from the little-endian one.");
        }
        if (version < OLDEST || version > NEWEST) {
            throw new InvalidDataException(Wording.file(path) + " is a GGUF file of version "
                    + Integer.toUnsignedString(version) + ", and versions 2 and 3 are read; convert the model again"
                    + (version < OLDEST ? "." : ", or start from the safetensors model."));
        }
    }

    private Entry entry(GgufCursor cursor) {
        String name = cursor.text();
        String label = Wording.file(path) + ": tensor " + Wording.quoted(name);
        int sides = cursor.int32();
        if (sides < 0 || sides > MOST_SIDES) {
            throw new MalformedFileException(label + " has " + Integer.toUnsignedString(sides)
                    + " sides where the format knows at most " + MOST_SIDES + "; download it again.");
        }
        long[] shape = new long[sides];
        for (int i = sides - 1; i >= 0; i--) {
            shape[i] = cursor.int64();
        }
        int number = cursor.int32();
        long offset = cursor.int64();
        GgufType type = GgufType.of(number)
                .orElseThrow(() -> new InvalidDataException(label + " has the type " + Integer.toUnsignedString(number)
                        + ", which is not known here; start from a model in F16, BF16 or a type up to "
                        + GgufType.Q2_0.number() + "."));
        return new Entry(name, type, shape, offset, bytes(label, type, shape));
    }

    private static long bytes(String label, GgufType type, long[] shape) {
        long columns = shape.length == 0 ? 1 : shape[shape.length - 1];
        long elements = 1;
        try {
            for (long side : shape) {
                if (side < 0) {
                    throw new ArithmeticException("negative side");
                }
                elements = Math.multiplyExact(elements, side);
            }
            if (columns % type.blockElements() == 0) {
                return type.bytes(elements);
            }
        } catch (ArithmeticException e) {
            throw new MalformedFileException(
                    label + " cannot have shape " + Wording.shape(shape) + "; download it again.", e);
        }
        throw new MalformedFileException(label + " has rows of " + columns + " numbers, which its type " + type
                + " cannot hold in blocks of " + type.blockElements() + "; convert the model again.");
    }

    /** Finds the data of all tensors, which must lie in the file, aligned, and apart from each other. */
    private void place(List<Entry> entries, long start) {
        for (Entry entry : entries) {
            String label = Wording.file(path) + ": tensor " + Wording.quoted(entry.name);
            if (entry.offset % alignment != 0) {
                throw new MalformedFileException(label + " begins at byte " + Long.toUnsignedString(entry.offset)
                        + " of the data, which is no multiple of the alignment " + alignment
                        + "; convert the model again.");
            }
            long left = content.byteSize() - start - entry.bytes;
            if (entry.offset < 0 || entry.offset > left) {
                throw new MalformedFileException(label + " needs " + entry.bytes + " bytes from byte "
                        + Long.toUnsignedString(start + entry.offset) + " on and the file ends at byte "
                        + content.byteSize() + "; it is cut off, download it again.");
            }
            MemorySegment data = content.asSlice(start + entry.offset, entry.bytes);
            if (tensors.put(entry.name, new GgufTensor(entry.name, entry.type, entry.shape, data, path)) != null) {
                throw twice(path, entry.name);
            }
        }
        entries.sort(Comparator.comparingLong(Entry::offset).thenComparingLong(Entry::bytes));
        for (int i = 1; i < entries.size(); i++) {
            Entry before = entries.get(i - 1);
            if (before.offset + before.bytes > entries.get(i).offset) {
                throw new MalformedFileException(Wording.file(path) + ": tensors " + Wording.quoted(before.name)
                        + " and " + Wording.quoted(entries.get(i).name) + " lie over each other; download it again.");
            }
        }
    }

    static MalformedFileException twice(Path file, String tensor) {
        return new MalformedFileException(
                Wording.file(file) + " has two tensors " + Wording.quoted(tensor) + "; convert the model again.");
    }

    Path path() {
        return path;
    }

    GgufMetadata metadata() {
        return metadata;
    }

    Map<String, GgufTensor> tensors() {
        return tensors;
    }

    int version() {
        return version;
    }

    long alignment() {
        return alignment;
    }

    /** The next place where data may begin. */
    long padded(long at) {
        return (at + alignment - 1) / alignment * alignment;
    }
}
