package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.MalformedFileException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Opens files that others wrote. */
public final class InputFile {
    /** The longest JSON text that is read; the limit of the safetensors format for its header. */
    public static final int LONGEST_JSON = 100_000_000;

    private static final JsonFactory JSON = jsonFactory()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(100)
                    .maxStringLength(LONGEST_JSON)
                    .build())
            .build();

    private InputFile() {}

    /** A factory whose parsers keep no table of names: a hostile file of nothing but names would make that slow and large. */
    static JsonFactoryBuilder jsonFactory() {
        return new JsonFactoryBuilder()
                .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                .disable(JsonFactory.Feature.INTERN_FIELD_NAMES);
    }

    /**
     * The whole file, read-only, until {@code arena} closes.
     *
     * @throws FileAccessException if it is missing, not a regular file, or unreadable
     */
    public static MemorySegment map(Path file, Arena arena) {
        // A FIFO would block for ever, so only regular files are opened at all.
        if (Files.isDirectory(file)) {
            throw new FileAccessException(Wording.file(file) + " is a directory; name a file in it.");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new FileAccessException(Wording.file(file) + " is not a regular file; copy its contents to one.");
        }
        if (!Files.exists(file) && Files.isSymbolicLink(file)) {
            throw new FileAccessException(
                    Wording.file(file) + " is a link to a file that is not there; download it again.");
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment content = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            MappedFiles.add(file, content);
            return content;
        } catch (IOException e) {
            throw Wording.cannotRead(file, e);
        }
    }

    /** The bytes of a whole JSON file of at most {@code longest} bytes. */
    public static byte[] readJson(Path file, int longest) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment content = map(file, arena);
            if (content.byteSize() > longest) {
                throw new MalformedFileException(Wording.file(file) + " has " + content.byteSize()
                        + " bytes, more than the " + longest + " that it may have; download it again.");
            }
            return content.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** A parser that takes UTF-8 and nothing else; left to itself, Jackson would guess UTF-16 and UTF-32 too. */
    public static JsonParser parser(byte[] json) throws IOException {
        return JSON.createParser(
                new InputStreamReader(new ByteArrayInputStream(json), StandardCharsets.UTF_8.newDecoder()));
    }
}
