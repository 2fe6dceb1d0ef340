package io.groupreduce.format;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;

/** A hidden file beside a target, gone when it is closed, or when a signal ends the process before. */
final class TemporaryFile implements AutoCloseable {
    /** One hook serves all: what the JDK deletes on exit it remembers for the life of the process. */
    private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

    static {
        try {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> OPEN.forEach(TemporaryFile::delete)));
        } catch (IllegalStateException e) {
            // The process is ending already, and somebody's own hook writes: close() still deletes.
        }
    }

    private final Path path;

    /** Names a file that does not exist yet. The target's name is no part of it: half of a character may not be cut off. */
    TemporaryFile(Path target) {
        String random = Long.toHexString(ThreadLocalRandom.current().nextLong());
        path = target.resolveSibling(".groupreduce-" + random + ".tmp");
        OPEN.add(path);
    }

    Path path() {
        return path;
    }

    /** Makes the file. */
    FileChannel create() throws IOException {
        return FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** How many there are in this process. */
    static int open() {
        return OPEN.size();
    }

    private static void delete(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // The failure that led here is the one to report.
        }
    }

    /** Deletes the file if it still has this name. */
    @Override
    public void close() {
        delete(path);
        OPEN.remove(path);
    }
}
