package io.groupreduce.format;

import io.groupreduce.error.InvalidDataException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The cache of the Hugging Face hub: {@code models--ORG--NAME/snapshots/HASH}, where {@code refs/main} names the current snapshot. */
final class HubCache {
    private static final Pattern HASH = Pattern.compile("[0-9a-zA-Z]{1,64}");
    private static final int LONGEST_REF = 200;

    private HubCache() {}

    /**
     * The snapshot to read; {@code null} if the directory is not the cache of one model.
     *
     * @throws InvalidDataException if it holds none or several, and does not say which is current
     */
    static Path snapshot(Path directory) {
        Path snapshots = directory.resolve("snapshots");
        if (!Files.isDirectory(snapshots)) {
            return null;
        }
        Path current = current(directory, snapshots);
        List<Path> found = directories(snapshots, "");
        if (current != null || found.size() == 1) {
            return current != null ? current : found.get(0);
        }
        throw new InvalidDataException(Wording.file(directory) + " is a download cache "
                + (found.isEmpty()
                        ? "without a snapshot; download the model again."
                        : "with several snapshots and no refs/main that names one of them; name the one to read: "
                                + some(found) + "."));
    }

    private static Path current(Path directory, Path snapshots) {
        Path main = directory.resolve("refs").resolve("main");
        try {
            if (!Files.isRegularFile(main) || Files.size(main) > LONGEST_REF) {
                return null;
            }
            String hash = new String(Files.readAllBytes(main), StandardCharsets.ISO_8859_1).strip();
            return HASH.matcher(hash).matches() && Files.isDirectory(snapshots.resolve(hash))
                    ? snapshots.resolve(hash)
                    : null;
        } catch (IOException e) {
            throw Wording.cannotRead(main, e);
        }
    }

    /** What a directory with the caches of several models is, to follow its name. */
    static Optional<String> models(Path directory) {
        return Stream.of(directory, directory.resolve("hub"))
                .map(d -> directories(d, "models--"))
                .filter(found -> !found.isEmpty())
                .findFirst()
                .map(found -> "is a download cache of models; name one of them, such as " + some(found));
    }

    private static List<Path> directories(Path parent, String prefix) {
        if (!Files.isDirectory(parent)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(parent)) {
            return entries.filter(Files::isDirectory)
                    .filter(entry -> entry.getFileName().toString().startsWith(prefix))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw Wording.cannotRead(parent, e);
        }
    }

    private static String some(List<Path> paths) {
        return Wording.some(paths.stream().map(p -> p.getFileName().toString()).toList());
    }
}
