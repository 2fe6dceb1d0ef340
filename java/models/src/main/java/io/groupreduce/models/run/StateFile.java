package io.groupreduce.models.run;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.format.Wording;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * What a run has so far, on disk, so that an interrupted one goes on: a digest of all that it depends on, how many steps are done, and the
 * records that they made. A step counts as done when its records are on the disk.
 */
final class StateFile implements AutoCloseable {
    private static final byte[] MAGIC = "groupreduce state\n".getBytes(StandardCharsets.US_ASCII);
    private static final int DIGEST = MAGIC.length + 32;
    private static final int HEADER = DIGEST + Integer.BYTES;

    private final Path file;
    private final FileChannel channel;
    private int done;

    /**
     * Opens or begins a file.
     *
     * @param digest 32 bytes
     * @param tell hears if there is a file that another run began, which is begun anew
     * @throws FileAccessException if it cannot be written, or there is a file of something else
     */
    StateFile(Path file, byte[] digest, Consumer<String> tell) {
        this.file = file;
        try {
            channel = FileChannel.open(
                    file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
            boolean whole = channel.read(header, 0) == HEADER;
            byte[] own = Arrays.copyOf(MAGIC, DIGEST);
            System.arraycopy(digest, 0, own, MAGIC.length, digest.length);
            if (whole && Arrays.equals(own, Arrays.copyOf(header.array(), DIGEST))) {
                done = header.getInt(DIGEST);
                return;
            }
            if (channel.size() > 0) {
                if (!whole || !Arrays.equals(MAGIC, Arrays.copyOf(header.array(), MAGIC.length))) {
                    channel.close();
                    throw new FileAccessException(Wording.file(file)
                            + " is where the state of this run belongs, and is something else; move it, or give another"
                            + " output.");
                }
                tell.accept(
                        Wording.file(file) + " is what a run with other input or options left; this one begins anew.");
            }
            channel.truncate(0);
            write(ByteBuffer.wrap(Arrays.copyOf(own, HEADER)), 0);
        } catch (IOException e) {
            throw Wording.cannotWrite(file, 0, e);
        }
    }

    /** Steps whose records are there. */
    int done() {
        return done;
    }

    /**
     * Adds what a step made.
     *
     * @param at bytes of all records before
     * @throws FileAccessException if the disk is full
     */
    void add(ByteBuffer records, long at) {
        try {
            write(records, HEADER + at);
            channel.force(false);
            done++;
            write(
                    ByteBuffer.allocate(Integer.BYTES)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putInt(0, done),
                    DIGEST);
        } catch (IOException e) {
            throw Wording.cannotWrite(file, 0, e);
        }
    }

    private void write(ByteBuffer bytes, long at) throws IOException {
        long to = at;
        while (bytes.hasRemaining()) {
            to += channel.write(bytes, to);
        }
    }

    /** Fills the buffer with records that begin so many bytes behind the first. */
    void read(ByteBuffer into, long at) {
        try {
            while (into.hasRemaining()) {
                if (channel.read(into, HEADER + at + into.position()) < 0) {
                    throw new NoSuchFileException(file.toString(), null, "it has become shorter");
                }
            }
        } catch (IOException e) {
            throw Wording.cannotRead(file, e);
        }
    }

    /** Closes and removes it: the run is over. */
    void remove() {
        done = 0;
        close();
    }

    /** Closes it, and removes one in which nothing is done; may be called again. */
    @Override
    public void close() {
        try {
            channel.close();
            if (done == 0) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw Wording.cannotWrite(file, 0, e);
        }
    }
}
