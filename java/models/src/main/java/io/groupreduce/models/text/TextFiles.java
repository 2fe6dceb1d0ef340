package io.groupreduce.models.text;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Wording;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * Text files in UTF-8, plain or gzip (told by their first bytes), one after the other and never whole in memory: in pieces of at most
 * {@value #PIECE} bytes that end with a line, where lines are no longer than that.
 */
public final class TextFiles implements AutoCloseable {
    /** Bytes of a piece, at most. */
    public static final int PIECE = 1 << 16;

    /** The name of standard input among files. */
    public static final Path STANDARD_INPUT = Path.of("-");

    /**
     * A part of a file.
     *
     * @param text what stands there, line ends included
     * @param first whether a file begins with it
     */
    public record Piece(String text, boolean first) {}

    private final List<Path> files;
    private final InputStream standardInput;
    private final long size;
    private final byte[] buffer = new byte[PIECE];
    private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder(); // It reports what is malformed.

    private int opened;
    private InputStream in;
    private boolean packed;
    private boolean first;
    private boolean ended;
    private int length;
    private long offset;
    private volatile long read;

    private TextFiles(List<Path> files, InputStream standardInput, long size) {
        this.files = files;
        this.standardInput = standardInput;
        this.size = size;
    }

    /**
     * Checks that all files are there; reading begins with {@link #next}.
     *
     * @param standardInput what is read for the file {@code -}; it is not closed
     * @throws FileAccessException if one is missing, unreadable or a directory
     * @throws InvalidDataException if one is empty, or standard input is named twice
     */
    public static TextFiles open(List<Path> files, InputStream standardInput) {
        long size = 0;
        for (Path file : files) {
            if (file.equals(STANDARD_INPUT)) {
                size = -1;
                continue;
            }
            if (Files.isDirectory(file)) {
                throw new FileAccessException(
                        Wording.file(file) + " is a directory; name the text files in it, as in " + file + "/*.txt.");
            }
            if (!Files.exists(file)) {
                throw new FileAccessException(Wording.file(file) + " does not exist; check the path.");
            }
            if (!Files.isReadable(file)) {
                throw new FileAccessException(Wording.file(file) + " cannot be read: permission denied.");
            }
            long bytes = bytes(file);
            if (bytes == 0) {
                throw noText(file);
            }
            size = size < 0 || bytes < 0 ? -1 : size + bytes;
        }
        if (files.stream().filter(STANDARD_INPUT::equals).count() > 1) {
            throw new InvalidDataException("Standard input (-) is named twice, but can be read once; name it once.");
        }
        return new TextFiles(List.copyOf(files), standardInput, size);
    }

    /** The size of a regular file, -1 of a pipe. */
    private static long bytes(Path file) {
        try {
            return Files.isRegularFile(file) ? Files.size(file) : -1;
        } catch (IOException e) {
            throw Wording.cannotRead(file, e);
        }
    }

    /** How much of all files, as they are stored, has been read: 0 to 1; 0 while their size is not known, as of standard input. */
    public double fraction() {
        return size <= 0 ? 0 : Math.min(1, (double) read / size);
    }

    /** Bytes read so far, as they are stored. */
    public long bytesRead() {
        return read;
    }

    /**
     * The next piece, or {@code null} after the last. Threads may call it at the same time.
     *
     * @throws InvalidDataException if what comes is no text in UTF-8, or a file without any
     * @throws MalformedFileException if a gzip file is damaged
     * @throws FileAccessException if reading fails
     */
    public synchronized Piece next() {
        while (true) {
            if (in == null) {
                if (opened == files.size()) {
                    return null;
                }
                begin();
            }
            fill();
            if (length > 0) {
                return take(ended ? length : cut());
            }
            if (first) {
                throw noText(files.get(opened - 1));
            }
            close();
        }
    }

    private void begin() {
        Path file = files.get(opened++);
        first = true;
        ended = false;
        offset = 0;
        try {
            InputStream raw = file.equals(STANDARD_INPUT) ? standardInput : Files.newInputStream(file);
            in = new BufferedInputStream(new Counting(raw), PIECE);
            in.mark(2);
            packed = in.read() == 0x1f && in.read() == 0x8b;
            in.reset();
            in = packed ? new GZIPInputStream(in, PIECE) : in;
        } catch (IOException e) {
            throw unreadable(e);
        }
        fill();
        int mark = mark();
        length -= mark;
        offset += mark;
        System.arraycopy(buffer, mark, buffer, 0, length);
    }

    private void fill() {
        try {
            int got = ended ? 0 : in.readNBytes(buffer, length, PIECE - length);
            ended |= got < PIECE - length;
            length += got;
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** Bytes of a byte order mark at the beginning. */
    private int mark() {
        int start = length < 2 ? 0 : (buffer[0] & 0xff) << 8 | buffer[1] & 0xff;
        if (start == 0xfffe || start == 0xfeff) {
            throw new InvalidDataException(
                    name() + " is text in UTF-16; save it as UTF-8, as with: iconv -f UTF-16" + " -t UTF-8.");
        }
        return start == 0xefbb && length > 2 && (buffer[2] & 0xff) == 0xbf ? 3 : 0;
    }

    /** Where a full buffer is cut: before a line that begins with more than a blank, else behind a line, else before a character. */
    private int cut() {
        int line = 0;
        for (int at = length - 1; at > 0; at--) {
            if (buffer[at - 1] == '\n') {
                line = Math.max(line, at);
                if (buffer[at] < 0 || buffer[at] > ' ') {
                    return at;
                }
            }
        }
        int character = length - 1;
        while (line == 0 && character > length - 4 && (buffer[character] & 0xc0) == 0x80) {
            character--;
        }
        return line > 0 ? line : character;
    }

    private Piece take(int bytes) {
        ByteBuffer from = ByteBuffer.wrap(buffer, 0, bytes);
        CharBuffer to = CharBuffer.allocate(bytes);
        boolean malformed = decoder.reset().decode(from, to, true).isError();
        for (int at = 0; at < from.position() || malformed; at++) {
            if (at == from.position() || buffer[at] == 0) {
                throw new InvalidDataException(name() + " is no text in UTF-8: "
                        + String.format("byte 0x%02x at offset %d", buffer[at], offset + at)
                        + (packed ? " of what it unpacks to" : "")
                        + "; save it as UTF-8, or unpack it if it is an archive.");
            }
        }
        Piece piece = new Piece(to.flip().toString(), first);
        first = false;
        offset += bytes;
        length -= bytes;
        System.arraycopy(buffer, bytes, buffer, 0, length);
        return piece;
    }

    private String name() {
        return name(files.get(opened - 1));
    }

    private static String name(Path file) {
        return file.equals(STANDARD_INPUT) ? "Standard input" : Wording.file(file);
    }

    private static InvalidDataException noText(Path file) {
        return new InvalidDataException(name(file) + " is empty; give text.");
    }

    private RuntimeException unreadable(IOException e) {
        if (e instanceof EOFException || e instanceof ZipException) {
            return new MalformedFileException(
                    name() + " is a damaged gzip file ("
                            + (e instanceof EOFException ? "it ends early" : e.getMessage()) + "), readable for "
                            + offset + " bytes of text; download it again.",
                    e);
        }
        return Wording.cannotRead(files.get(opened - 1), e);
    }

    /** Closes the file that is open; may be called again. */
    @Override
    public synchronized void close() {
        try {
            if (in != null && !files.get(opened - 1).equals(STANDARD_INPUT)) {
                in.close();
            }
        } catch (IOException e) {
            throw unreadable(e);
        } finally {
            in = null;
            length = 0;
        }
    }

    /** Counts what is read of a file as it is stored. */
    private final class Counting extends FilterInputStream {
        private Counting(InputStream raw) {
            super(raw);
        }

        /** What unpacks gzip takes 0 for the end, and a pipe says 0 while it waits: a further part of the file would be lost. */
        @Override
        public int available() {
            return 1;
        }

        @Override
        public int read(byte[] bytes, int from, int count) throws IOException {
            int got = super.read(bytes, from, count);
            read += Math.max(0, got);
            return got;
        }
    }
}
