package io.groupreduce.models.gguf;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Wording;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A GGUF model, mapped into memory: its metadata and its tensors, from one file or from all parts of one that was split. Everything is checked
 * when it is opened; any number of threads may read.
 */
public final class GgufFile implements AutoCloseable {
    private static final Pattern PART_NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");
    private static final String PART = "split.no";
    private static final String PARTS = "split.count";
    private static final String ALL_TENSORS = "split.tensors.count";

    private final Arena arena = Arena.ofShared();
    private final List<GgufPart> parts = new ArrayList<>();
    private final Map<String, GgufTensor> tensors = new LinkedHashMap<>();

    private GgufFile(Path path) {
        try {
            parts.add(new GgufPart(path, arena));
            openOtherParts();
            for (GgufPart part : parts) {
                part.tensors().forEach((name, tensor) -> {
                    if (tensors.put(name, tensor) != null) {
                        throw GgufPart.twice(part.path(), name);
                    }
                });
            }
            long claimed = metadata().integer(ALL_TENSORS).orElse(tensors.size());
            if (parts.size() > 1 && claimed != tensors.size()) {
                throw new MalformedFileException(Wording.file(path) + " says that its parts have " + claimed
                        + " tensors together, and they have " + tensors.size() + "; download all parts again.");
            }
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Maps a model; of one that was split, the first part is named.
     *
     * @throws FileAccessException if a file is missing or unreadable
     * @throws MalformedFileException if it is no GGUF file, or a damaged one
     * @throws InvalidDataException if it is of a version, a byte order or a type that is not read, or not the first part
     */
    public static GgufFile open(Path path) {
        return new GgufFile(path);
    }

    private void openOtherParts() {
        Path first = path();
        long count = metadata().integer(PARTS).orElse(0);
        if (count <= 1) {
            return;
        }
        Matcher name = PART_NAME.matcher(first.getFileName().toString());
        if (!name.matches() || Integer.parseInt(name.group(3)) != count) {
            throw new InvalidDataException(Wording.file(first) + " is one of " + count
                    + " parts of a model, and the others are found by its name, which must end in -00001-of-"
                    + number(count) + ".gguf; give it back its name.");
        }
        long part = metadata().integer(PART).orElse(0);
        if (part != 0 || !name.group(2).equals(number(1))) {
            throw new InvalidDataException(Wording.file(first) + " is part " + (part + 1) + " of " + count
                    + " of a model; name the first, " + Wording.quoted(name(name.group(1), 1, count)) + ".");
        }
        for (int i = 2; i <= count; i++) {
            Path file = first.resolveSibling(name(name.group(1), i, count));
            if (!Files.exists(file)) {
                throw new FileAccessException(Wording.file(first) + " has part " + i + " of " + count + " in "
                        + Wording.quoted(file.getFileName().toString())
                        + ", which is not there; put it beside the first.");
            }
            GgufPart other = new GgufPart(file, arena);
            if (other.metadata().integer(PARTS).orElse(0) != count
                    || other.metadata().integer(PART).orElse(0) != i - 1) {
                throw new InvalidDataException(Wording.file(file) + " is not part " + i + " of the " + count
                        + " that its name says; download it again.");
            }
            parts.add(other);
        }
    }

    private static String name(String stem, int part, long count) {
        return stem + "-" + number(part) + "-of-" + number(count) + ".gguf";
    }

    private static String number(long part) {
        return String.format(Locale.ROOT, "%05d", part);
    }

    /** The file that was named. */
    public Path path() {
        return parts.get(0).path();
    }

    /** All files, the named one first. */
    public List<Path> files() {
        return parts.stream().map(GgufPart::path).toList();
    }

    /** What the first file says of the model. */
    public GgufMetadata metadata() {
        return parts.get(0).metadata();
    }

    /** All tensors by name, part by part in the order of their entries. */
    public Map<String, GgufTensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** The first file as it is stored. */
    GgufPart first() {
        return parts.get(0);
    }

    /** Unmaps all files; may be called again. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
