package io.groupreduce.models.gguf;

import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Reads the header of a GGUF file from front to back; nothing is believed that the rest of the file cannot hold. */
final class GgufCursor {
    private final Path file;
    private final MemorySegment content;
    private long at;

    GgufCursor(Path file, MemorySegment content, long at) {
        this.file = file;
        this.content = content;
        this.at = at;
    }

    long at() {
        return at;
    }

    int int32() {
        return content.get(LittleEndian.I32, take(Integer.BYTES));
    }

    long int64() {
        return content.get(LittleEndian.I64, take(Long.BYTES));
    }

    /** A number of things of which each takes so many bytes or more. */
    long count(String what, int least) {
        long count = int64();
        long left = content.byteSize() - at;
        if (count < 0 || count > left / least) {
            throw new MalformedFileException(Wording.file(file) + " is cut off or damaged: it claims "
                    + Long.toUnsignedString(count) + " " + what + " at byte " + (at - Long.BYTES) + " and has " + left
                    + " bytes left for them; download it again.");
        }
        return count;
    }

    String text() {
        long length = count("bytes of a text", 1);
        long start = take(length);
        return new String(content.asSlice(start, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }

    void skipText() {
        take(count("bytes of a text", 1));
    }

    /** Steps over so many bytes and says where they begin. */
    long take(long bytes) {
        if (bytes > content.byteSize() - at) {
            throw new MalformedFileException(Wording.file(file) + " is cut off in its header, at byte "
                    + content.byteSize() + "; download it again.");
        }
        at += bytes;
        return at - bytes;
    }
}
