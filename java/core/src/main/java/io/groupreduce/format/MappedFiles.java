package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * The files that are mapped now. When another process cuts one short, reading it raises an {@link InternalError} wherever it is read,
 * without a name; here it becomes an exception that names the file.
 */
public final class MappedFiles {
    /** What the JVM says of memory behind which there is no file any more. */
    private static final String FAULT = "unsafe memory access";

    private record Mapping(Path file, long bytes, MemorySegment.Scope scope) {}

    private static final Set<Mapping> MAPPED = ConcurrentHashMap.newKeySet();

    private MappedFiles() {}

    static void add(Path file, MemorySegment content) {
        MAPPED.removeIf(mapping -> !mapping.scope().isAlive());
        MAPPED.add(new Mapping(file, content.byteSize(), content.scope()));
    }

    /**
     * The result of some work that may read mapped files.
     *
     * @throws FileAccessException if one of them was cut short meanwhile, or its disk failed
     */
    public static <T> T reading(Supplier<T> work) {
        try {
            return work.get();
        } catch (InternalError e) {
            throw explain(e);
        }
    }

    /**
     * What a fault means: for queries, which may allocate nothing.
     *
     * @throws InternalError the fault itself, if it comes from elsewhere
     */
    public static FileAccessException explain(InternalError fault) {
        if (!String.valueOf(fault.getMessage()).contains(FAULT)) {
            throw fault;
        }
        // Those that are still open first: on its way here the fault has closed what it met.
        for (boolean open : new boolean[] {true, false}) {
            for (Mapping mapping : MAPPED) {
                long now = bytesNow(mapping.file());
                if (mapping.scope().isAlive() == open && now < mapping.bytes()) {
                    return new FileAccessException(
                            Wording.file(mapping.file()) + " was cut from " + mapping.bytes() + " to " + now
                                    + " bytes while it was read; start again when it is complete.",
                            fault);
                }
            }
        }
        return new FileAccessException(
                "A file changed while it was read, or its disk failed; start again when it is complete.", fault);
    }

    private static long bytesNow(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            return Long.MAX_VALUE; // Taken from its folder, a mapped file is still whole.
        }
    }
}
