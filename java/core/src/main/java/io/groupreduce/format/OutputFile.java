package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;

/** Checks, before the long work, that an output can be written and that nothing the user still needs goes with it. */
public final class OutputFile {
    private OutputFile() {}

    /**
     * Checks one output.
     *
     * @param read everything the run reads, and its other outputs; entries that do not exist are passed over
     * @param overwrite whether an existing file may be replaced
     * @throws InvalidDataException if the output is one of the files of the run
     * @throws FileAccessException if its directory is missing, it is a directory, or it exists and may not be replaced
     */
    public static void require(Path output, Collection<Path> read, boolean overwrite) {
        Path parent = output.toAbsolutePath().getParent();
        if (parent == null || !Files.isDirectory(parent)) {
            throw new FileAccessException(
                    output + " cannot be written: its directory does not exist; create it first.");
        }
        AtomicFile.requireReplaceable(output);
        for (Path other : read) {
            if (same(output, other)) {
                throw new InvalidDataException("The output " + output
                        + " is the input itself, or another file of this run; give it a name of its own.");
            }
        }
        if (Files.exists(output) && !overwrite) {
            throw new FileAccessException(output + " exists already; give another name, or --force to replace it.");
        }
    }

    private static boolean same(Path output, Path other) {
        if (output.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize())) {
            return true;
        }
        try {
            return Files.exists(output) && Files.exists(other) && Files.isSameFile(output, other);
        } catch (IOException e) {
            throw new FileAccessException("The file system cannot compare " + output + " with " + other + ".", e);
        }
    }
}
