package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * An output of a run, checked and claimed before the long work: it can be written, nothing that the run reads goes with it, and
 * no other run writes it until this is closed. A link as output stays, and the file that it leads to is written.
 */
public final class OutputFile implements AutoCloseable {
    /** What lies beside a model file and belongs to it: configuration, tokenizer, other shards. */
    private static final Pattern COMPANIONS = Pattern.compile(
            ".*\\.json|tokenizer.*|vocab.*|merges.*|.*-\\d{5}-of-\\d{5}\\.safetensors|.*\\.onnx[._]data");

    /** As many links in a row as Linux follows. */
    private static final int MOST_LINKS = 40;

    private final Path output;
    private final Path file;
    private final Claim claim;
    private boolean closed;

    private OutputFile(Path output, Path file, Claim claim) {
        this.output = output;
        this.file = file;
        this.claim = claim;
    }

    /**
     * Checks one output and takes it for this run.
     *
     * @param read every file that the run reads, and its other outputs, in whatever way they are named; what does not exist is
     *     compared by where it would be
     * @param overwrite whether an existing file may be replaced
     * @throws InvalidDataException if the output is one of the files of the run
     * @throws FileAccessException if its directory is missing or cannot be written, its name is too long, it is a directory or
     *     a device, it exists and may not be replaced, or another run is writing it
     */
    public static OutputFile claim(Path output, Collection<Path> read, boolean overwrite) {
        Path file = destination(output);
        for (Path other : read) {
            if (same(file, other)) {
                throw new InvalidDataException("The output " + Wording.file(output)
                        + " is the input itself, or another file of this run; give it a name of its own.");
            }
        }
        Claim claim = Claim.of(file, output, false);
        // Not before: another run may have finished it in the meantime.
        if (Files.exists(file) && !overwrite) {
            claim.close();
            throw new FileAccessException(
                    Wording.file(output) + " exists already; give another name, or --force to replace it.");
        }
        return new OutputFile(output, file, claim);
    }

    /**
     * Checks a directory as output and takes it for this run.
     *
     * @param input a directory that is read
     * @param read every other file that the run reads: with a directory that is replaced all goes that lies in it
     * @param overwrite whether an existing directory that holds a model may be replaced
     * @throws InvalidDataException if one of the two directories lies in the other, or a file that is read lies in the output
     * @throws FileAccessException if it cannot be made there, exists and may not be replaced, or another run is writing it
     */
    public static OutputFile claimDirectory(Path output, Path input, List<Path> read, boolean overwrite) {
        Path at = output.toAbsolutePath().normalize();
        try {
            Path file = folder(at, output).resolve(at.getFileName());
            Path directory = input.toRealPath();
            if (file.startsWith(directory) || directory.startsWith(file)) {
                throw new InvalidDataException("The output " + Wording.file(output) + " and the input "
                        + Wording.file(input) + " lie in each other; write it elsewhere.");
            }
            for (Path other : read) {
                if (Files.exists(other) && other.toRealPath().startsWith(file)) {
                    throw new InvalidDataException("The output " + Wording.file(output) + " holds "
                            + Wording.file(other) + ", which is read, and would replace it; write it elsewhere.");
                }
            }
            Claim claim = Claim.of(file, output, false);
            if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)
                    && !(overwrite
                            && Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)
                            && ModelFolder.isReplaceable(file))) {
                claim.close();
                throw new FileAccessException(Wording.file(output) + " exists already; give another name"
                        + (overwrite
                                ? ", since only a directory with a model is replaced."
                                : ", or --force to replace a directory with a model."));
            }
            return new OutputFile(output, file, claim);
        } catch (IOException e) {
            throw Wording.cannotWrite(output, 0, e);
        }
    }

    /** Where it lies, in a folder without links. */
    Path file() {
        return file;
    }

    /** Names something beside it that does not exist yet and is gone when it is closed. */
    TemporaryFile temporary() {
        return claim.temporary();
    }

    /** The output as it was named. */
    public Path path() {
        return output;
    }

    /**
     * Every file that a model is read from, and what lies beside it and belongs to it: in a model directory everything.
     *
     * @throws FileAccessException if a file cannot be found any more
     */
    public static List<Path> filesOf(Model model) {
        List<Path> files = new ArrayList<>(
                model.tensors().keySet().stream().map(model::fileOf).distinct().toList());
        if (Files.isDirectory(model.path())) {
            addFrom(model.path(), Pattern.compile(".*"), files);
            return files;
        }
        files.add(model.path());
        try {
            addFrom(model.path().toAbsolutePath().getParent(), COMPANIONS, files);
            addFrom(model.path().toRealPath().getParent(), COMPANIONS, files);
        } catch (IOException e) {
            throw Wording.cannotRead(model.path(), e);
        }
        return files;
    }

    private static void addFrom(Path folder, Pattern names, List<Path> files) {
        files.add(folder.resolve("config.json"));
        try (Stream<Path> list = Files.list(folder)) {
            list.filter(path -> names.matcher(path.getFileName().toString()).matches())
                    .forEach(files::add);
        } catch (IOException e) {
            // A folder may let its files be read by name and not be listed.
        }
    }

    /** @throws InvalidDataException if the output lies in a directory whose files are taken for parts of a model */
    public void requireOutside(Path modelDirectory) {
        try {
            if (Files.isDirectory(modelDirectory) && Files.isSameFile(file.getParent(), modelDirectory)) {
                throw new InvalidDataException("The output " + Wording.file(output)
                        + " lies in the input directory, where it would be taken for a part of the model; write it"
                        + " elsewhere.");
            }
        } catch (IOException e) {
            throw Wording.cannotRead(modelDirectory, e);
        }
    }

    /** @throws FileAccessException if the disk is known to have less room than this many bytes */
    public void requireRoom(double bytes) {
        requireRoom(output, file.getParent(), bytes);
    }

    /** As {@link #requireRoom(double)}, of any file to write. */
    public static void requireRoom(Path output, double bytes) {
        requireRoom(output, destination(output).getParent(), bytes);
    }

    private static void requireRoom(Path output, Path folder, double bytes) {
        long free;
        try {
            free = Files.getFileStore(folder).getUsableSpace();
        } catch (IOException e) {
            // Not every file system says.
            return;
        }
        if (free < bytes) {
            throw new FileAccessException(Wording.file(output) + " needs " + (long) bytes
                    + " bytes, but the disk has only " + free + " free; free some space, or write it elsewhere.");
        }
    }

    /**
     * The file that a name stands for, in a folder without links: where a link leads to, whether or not that is there yet.
     *
     * @throws FileAccessException if no file can be written there
     */
    static Path destination(Path target) {
        try {
            Path at = target.toAbsolutePath();
            for (int links = 0; links <= MOST_LINKS; links++) {
                if (at.getFileName() == null || Files.isDirectory(at)) {
                    throw new FileAccessException(
                            Wording.file(target) + " is a directory; give the name of a file to write.");
                }
                at = folder(at, target).resolve(at.getFileName());
                BasicFileAttributes attributes = attributes(at);
                if (attributes == null || attributes.isRegularFile()) {
                    return at;
                }
                if (!attributes.isSymbolicLink()) {
                    // Renaming onto a device such as /dev/null would destroy it.
                    throw new FileAccessException(
                            Wording.file(target) + " is not a regular file; give the name of a file to write.");
                }
                at = at.resolveSibling(Files.readSymbolicLink(at));
            }
        } catch (IOException e) {
            throw Wording.cannotWrite(target, 0, e);
        }
        throw new FileAccessException(
                Wording.file(target) + " is a link that leads back to itself; give the name of a file to write.");
    }

    private static Path folder(Path file, Path target) throws IOException {
        try {
            Path folder = file.getParent().toRealPath();
            if (Files.isDirectory(folder)) {
                return folder;
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            // Said below.
        }
        throw new FileAccessException(
                Wording.file(target) + " cannot be written: its directory does not exist; create it first.");
    }

    /** {@code null} of a file that does not exist. */
    private static BasicFileAttributes attributes(Path path) throws IOException {
        try {
            return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    private static boolean same(Path file, Path other) {
        try {
            if (Files.exists(file) && Files.exists(other)) {
                return Files.isSameFile(file, other);
            }
            return file.equals(destination(other));
        } catch (FileAccessException e) {
            // No file can be where the other one is said to be.
            return false;
        } catch (IOException e) {
            throw new FileAccessException(
                    "The file system cannot compare " + Wording.file(file) + " with " + Wording.file(other) + ".", e);
        }
    }

    /** Gives the name free for other runs; may be called again. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            claim.close();
        }
    }
}
