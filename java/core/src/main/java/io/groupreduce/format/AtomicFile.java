package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * Writes a file so that its name means the old content or the whole new one, never a part: into a temporary neighbour,
 * forced to the disk, checked, then renamed. A failure removes the temporary file and leaves an earlier target as it was. Of an
 * earlier target the permissions stay; where the target is a link, the link stays and the file that it leads to is replaced.
 */
public final class AtomicFile {
    /** What to write. */
    @FunctionalInterface
    public interface Content {
        /** Writes everything to the channel, which the caller closes. */
        void writeTo(WritableByteChannel channel) throws IOException;
    }

    private AtomicFile() {}

    /**
     * Writes {@code target}, replacing an earlier file of that name.
     *
     * @throws FileAccessException if the directory is missing, the disk is full, the target is a directory or anything else that
     *     no file may replace, another process writes it at this moment, or anything else fails
     */
    public static void write(Path target, Content content) {
        write(target, content, temporary -> {});
    }

    /**
     * As {@link #write(Path, Content)}, with a check.
     *
     * @param check throws if the finished temporary file may not take the target's name
     */
    public static void write(Path target, Content content, Consumer<Path> check) {
        write(target, 0, content, check, UnaryOperator.identity());
    }

    /** Writes {@code text} as UTF-8, as {@link #write(Path, Content)} does. */
    public static void writeText(Path target, String text) {
        writeBytes(target, text.getBytes(StandardCharsets.UTF_8));
    }

    /** Writes {@code bytes}, as {@link #write(Path, Content)} does. */
    public static void writeBytes(Path target, byte[] bytes) {
        write(target, channel -> writeFully(channel, ByteBuffer.wrap(bytes)));
    }

    /**
     * As {@link #write(Path, Content)}, with a check.
     *
     * @param bytes how much will be written, for the message when the disk is full; 0 when that is not known
     * @param check throws if the finished temporary file may not take the target's name
     * @param wiring what lies between content and file; tests put failing channels there
     */
    static void write(
            Path target, long bytes, Content content, Consumer<Path> check, UnaryOperator<WritableByteChannel> wiring) {
        Path file = OutputFile.destination(target);
        try (Claim claim = Claim.of(file, target, true);
                TemporaryFile temporary = claim.temporary()) {
            try (FileChannel channel = temporary.create()) {
                content.writeTo(wiring.apply(channel));
                channel.force(true);
            }
            check.accept(temporary.path());
            Files.move(temporary.path(), file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw Wording.cannotWrite(target, bytes, e);
        }
    }

    /** Writes all remaining bytes. */
    public static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
