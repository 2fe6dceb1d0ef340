package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A safetensors file, mapped into memory: 8 bytes with the length of the header, a JSON header, the data.
 *
 * <p>Everything is checked when the file is opened. Any number of threads may read; {@link #close()} ends the life of all
 * tensors and must come after the last use.
 */
public final class Safetensors implements AutoCloseable {
    private static final int LENGTH_BYTES = 8;

    private final Path path;
    private final Arena arena;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata;
    private final long headerBytes;

    private Safetensors(Path path, Arena arena) {
        this.path = path;
        this.arena = arena;
        MemorySegment content = InputFile.map(path, arena);
        long jsonBytes = headerLength(path, content);
        byte[] json = content.asSlice(LENGTH_BYTES, jsonBytes).toArray(ValueLayout.JAVA_BYTE);
        headerBytes = LENGTH_BYTES + jsonBytes;
        MemorySegment data = content.asSlice(headerBytes);
        SafetensorsHeader header = SafetensorsHeader.parse(path, json, data.byteSize());
        metadata = header.metadata();
        for (SafetensorsHeader.Entry e : header.entriesInOrder()) {
            MemorySegment bytes = data.asSlice(e.begin(), e.end() - e.begin());
            tensors.put(e.name(), new Tensor(e.name(), e.type(), e.shape(), bytes));
        }
    }

    /**
     * Opens and checks a file.
     *
     * @throws FileAccessException if it is missing, a directory, or unreadable
     * @throws MalformedFileException if it is not a well-formed safetensors file
     */
    public static Safetensors open(Path file) {
        Objects.requireNonNull(file, "file");
        Arena arena = Arena.ofShared();
        try {
            return new Safetensors(file, arena);
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    private static long headerLength(Path file, MemorySegment content) {
        long size = content.byteSize();
        // 80 02 is both the start of a pickle and a header of 640 bytes, and so with other kinds: only the brace after
        // the length tells.
        boolean brace = size > LENGTH_BYTES && content.get(ValueLayout.JAVA_BYTE, LENGTH_BYTES) == '{';
        if (!brace) {
            throw notSafetensors(file, content);
        }
        long length = content.get(LittleEndian.I64, 0);
        if (length < 0 || length > InputFile.LONGEST_JSON) {
            throw new MalformedFileException(Wording.file(file) + " is not a safetensors file: its header would have "
                    + Long.toUnsignedString(length) + " bytes and the format allows " + InputFile.LONGEST_JSON + ".");
        }
        if (length > size - LENGTH_BYTES) {
            throw new MalformedFileException(Wording.file(file) + " is cut off: its header has " + length
                    + " bytes but the file only " + size + "; write or download it again.");
        }
        if (length == 0) {
            throw new MalformedFileException(Wording.file(file) + " is not a safetensors file: its header is empty.");
        }
        return length;
    }

    private static MalformedFileException notSafetensors(Path file, MemorySegment content) {
        String what = FileKind.of(file, content)
                .orElse("is not a safetensors file: "
                        + (content.byteSize() < LENGTH_BYTES
                                ? "it has " + content.byteSize() + " bytes and the length of the header alone takes 8"
                                : "no JSON header follows its first 8 bytes"));
        return new MalformedFileException(Wording.file(file) + " " + what + ".");
    }

    /** The file, as it was named when it was opened. */
    public Path path() {
        return path;
    }

    /** All tensors in the order of their data. */
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** The {@code __metadata__} of the header; empty when there is none. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    /** Bytes before the data: the length of the header and the header. */
    long headerBytes() {
        return headerBytes;
    }

    /** The tensor of that name, if there is one. */
    public Optional<Tensor> find(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /** @throws InvalidDataException if there is no tensor of that name; the message lists names like it */
    public Tensor require(String name) {
        return Wording.require(path, "tensor", name, tensors);
    }

    /** Unmaps the file; may be called again. */
    @Override
    public synchronized void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
