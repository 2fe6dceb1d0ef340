package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The right to write a file: a hidden file beside it that this process holds locked, and whose name is that of all temporary
 * files for the target. The system lifts the lock of a process however it ends, so a name that can be locked is one of the
 * dead: what they left in the folder is removed with every new claim there. Where the file system has no locks, claims hold
 * within this process alone and nothing is removed.
 */
final class Claim implements AutoCloseable {
    /** By lock file. One is opened once in a process: closing it a second time would lift the lock. */
    private static final Map<Path, Claim> HELD = new HashMap<>();

    private static final String PREFIX = ".groupreduce-";
    private static final String LOCK = ".lock";
    private static final Pattern OURS = Pattern.compile("(\\.groupreduce-[0-9a-f-]{36})(?:-[0-9a-f]+\\.tmp|\\.lock)");

    /** A lock file has a random size below this, by which who locked it knows it again. */
    private static final int MOST_BYTES = 1 << 20;

    private static final int ATTEMPTS = 5;
    private static final long PAUSE_NANOS = 10_000_000;

    private final Path file;
    private final Path path;
    private final FileChannel channel;
    private int holders = 1;

    private Claim(Path file, Path path, FileChannel channel) {
        this.file = file;
        this.path = path;
        this.channel = channel;
    }

    /**
     * Takes the right for one writer, or joins the holder in this process where {@code joins}.
     *
     * @param file where links led to
     * @param target the name in messages
     * @throws FileAccessException if another run has it, or no file can be made in the folder
     */
    static Claim of(Path file, Path target, boolean joins) {
        Path path = hidden(file, LOCK);
        synchronized (HELD) {
            Claim held = HELD.get(path);
            if (held == null) {
                try {
                    held = take(file, path);
                } catch (IOException e) {
                    throw Wording.cannotWrite(target, 0, e);
                }
                if (held != null) {
                    HELD.put(path, held);
                    TemporaryFile.OPEN.add(path);
                    removeLeftovers(path);
                    return held;
                }
            } else if (joins) {
                held.holders++;
                return held;
            }
        }
        throw new FileAccessException(Wording.file(target)
                + " is being written by another run at this moment; give another name, or wait for that run.");
    }

    /** A hidden file for a target. The target's own name could be too long to be a part, or be cut within a character. */
    private static Path hidden(Path file, String end) {
        byte[] name = file.getFileName().toString().getBytes(StandardCharsets.UTF_8);
        return file.resolveSibling(PREFIX + UUID.nameUUIDFromBytes(name) + end);
    }

    /** Names a temporary file for the target, which does not exist yet. */
    TemporaryFile temporary() {
        String random = Long.toHexString(ThreadLocalRandom.current().nextLong());
        return new TemporaryFile(file, hidden(file, "-" + random + ".tmp"));
    }

    /** {@code null} if somebody else holds it. Who looks for leftovers holds it for a moment, so that is asked more than once. */
    private static Claim take(Path file, Path path) throws IOException {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            if (Thread.currentThread().isInterrupted()) {
                // Before there is a file that could stay.
                throw new ClosedByInterruptException();
            }
            FileChannel channel = open(path);
            boolean ours = false;
            try {
                ours = lock(channel) && isStill(path, channel);
                if (ours) {
                    return new Claim(file, path, channel);
                }
            } finally {
                if (!ours) {
                    channel.close();
                }
            }
            LockSupport.parkNanos(PAUSE_NANOS);
        }
        return null;
    }

    /** A link in its place would lead to a file that is nobody's to change, and to open a pipe would take for ever. */
    private static FileChannel open(Path path) throws IOException {
        if (Files.exists(path, LinkOption.NOFOLLOW_LINKS) && !Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
            throw new FileSystemException(path.toString(), null, "the name of its lock " + path + " is taken");
        }
        return FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
    }

    private static boolean lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false;
        } catch (ClosedByInterruptException e) {
            throw e;
        } catch (IOException e) {
            // A file system without locks.
            return true;
        }
    }

    /** Whether the locked file still has its name: the last holder may have removed it before it was locked. */
    private static boolean isStill(Path path, FileChannel channel) throws IOException {
        int size = ThreadLocalRandom.current().nextInt(1, MOST_BYTES);
        try {
            channel.truncate(0).write(ByteBuffer.allocate(1), size - 1);
            return Files.exists(path, LinkOption.NOFOLLOW_LINKS) && Files.size(path) == size;
        } catch (IOException e) {
            // For instance a full disk.
            TemporaryFile.delete(path);
            throw e;
        }
    }

    /** Removes temporary files whose process is dead. That they are there harms nobody, so no failure does either. */
    private static void removeLeftovers(Path own) {
        try (DirectoryStream<Path> found = Files.newDirectoryStream(own.getParent(), PREFIX + "*")) {
            for (Path path : found) {
                Matcher ours = OURS.matcher(path.getFileName().toString());
                if (ours.matches() && !path.equals(own)) {
                    removeIfDead(path, path.resolveSibling(ours.group(1) + LOCK), own);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // The next claim in this folder will try again.
        }
    }

    private static void removeIfDead(Path path, Path lock, Path own) {
        if (lock.equals(own)) {
            TemporaryFile.delete(path);
        } else if (!HELD.containsKey(lock)) {
            try (FileChannel channel = open(lock)) {
                if (channel.tryLock() != null) {
                    TemporaryFile.delete(path);
                    TemporaryFile.delete(lock);
                }
            } catch (IOException | OverlappingFileLockException e) {
                // Another user's, or a file system without locks.
            }
        }
    }

    /** Gives the right back when the last holder in this process does. */
    @Override
    public void close() {
        synchronized (HELD) {
            holders--;
            if (holders == 0) {
                HELD.remove(path);
                TemporaryFile.delete(path);
                try {
                    channel.close();
                } catch (IOException e) {
                    // The name is free all the same.
                }
            }
        }
    }
}
