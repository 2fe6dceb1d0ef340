package io.groupreduce.format;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A hidden file or directory beside a target, gone when it is closed, or when a signal ends the process before. After a signal that no
 * process can heed the next {@link Claim} in the folder removes it.
 */
final class TemporaryFile implements AutoCloseable {
    /** One hook serves all: what the JDK deletes on exit it remembers for the life of the process. */
    static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

    private static final Set<StandardOpenOption> NEW =
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);

    static {
        try {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> OPEN.forEach(TemporaryFile::delete)));
        } catch (IllegalStateException e) {
            // The process is ending already, and somebody's own hook writes: close() still deletes.
        }
    }

    private final Path target;
    private final Path path;

    /** For {@link Claim#temporary}. */
    TemporaryFile(Path target, Path path) {
        this.target = target;
        this.path = path;
        OPEN.add(path);
    }

    Path path() {
        return path;
    }

    /** Makes the file, with the permissions of an earlier target from its first moment on. */
    FileChannel create() throws IOException {
        PosixFileAttributeView earlier = Files.getFileAttributeView(target, PosixFileAttributeView.class);
        if (earlier == null || !Files.exists(target)) {
            return FileChannel.open(path, NEW, new FileAttribute<?>[0]);
        }
        PosixFileAttributes attributes = earlier.readAttributes();
        FileChannel channel =
                FileChannel.open(path, NEW, PosixFilePermissions.asFileAttribute(attributes.permissions()));
        PosixFileAttributeView made = Files.getFileAttributeView(path, PosixFileAttributeView.class);
        try {
            if (!made.readAttributes().group().equals(attributes.group())) {
                made.setGroup(attributes.group());
            }
            if (!made.getOwner().equals(attributes.owner())) {
                made.setOwner(attributes.owner());
            }
            // The umask may have taken some away.
            made.setPermissions(attributes.permissions());
        } catch (IOException e) {
            // Only root gives files away; a file of one's own that others cannot read is the safe side.
        }
        return channel;
    }

    /** How many there are in this process. */
    static int open() {
        return OPEN.size();
    }

    static void delete(Path path) {
        try {
            if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                ModelFolder.delete(path);
            }
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // The failure that led here is the one to report.
        }
        OPEN.remove(path);
    }

    /** Deletes what still has this name. */
    @Override
    public void close() {
        delete(path);
    }
}
