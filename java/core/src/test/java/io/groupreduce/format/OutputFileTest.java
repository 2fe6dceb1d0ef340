package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.matrix;
import static io.groupreduce.format.FormatFixtures.names;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an output may not be, known before anything is computed. */
class OutputFileTest {
    @TempDir
    private Path directory;

    private Path models;
    private Path file;

    @BeforeEach
    void makeModel() throws IOException {
        models = Files.createDirectory(directory.resolve("models"));
        file = models.resolve("model.safetensors");
        SafetensorsWriter.write(file, List.of(matrix("lm_head.weight", 4, 2, 1)), Map.of());
    }

    /** Refused as an output of a run that reads {@code input}, however both are named, and whether or not it may be replaced. */
    private void refused(Path input, Path output) {
        try (Model model = Model.open(input)) {
            List<Path> read = OutputFile.filesOf(model);
            assertFails(InvalidDataException.class, () -> OutputFile.claim(output, read, true), output, "of this run");
        }
    }

    private static void taken(Path input, Path output) {
        try (Model model = Model.open(input)) {
            OutputFile.claim(output, OutputFile.filesOf(model), true).close();
        }
    }

    @Test
    void linksToTheSourceAndLinksOfTheSourceAreTheSource() throws IOException {
        Path link = Files.createSymbolicLink(directory.resolve("link.safetensors"), file);
        Path folder = Files.createSymbolicLink(directory.resolve("folder"), models);
        Path hard = Files.createLink(directory.resolve("hard.safetensors"), file);
        for (Path input : List.of(file, link, folder, folder.resolve("model.safetensors"))) {
            for (Path output : List.of(
                    file,
                    link,
                    hard,
                    folder.resolve("model.safetensors"),
                    folder.resolve("../models/model.safetensors"))) {
                refused(input, output);
            }
            taken(input, directory.resolve("new.safetensors"));
        }
        taken(file, models.resolve("small.safetensors"));
    }

    /** As the cache of a download lies: names that link to files named by their content. */
    @Test
    void theFilesThatACacheLinksToAreTheSource() throws IOException {
        Path blobs = Files.createDirectories(directory.resolve("blobs"));
        Path snapshot = Files.createDirectories(directory.resolve("snapshots/1"));
        Files.move(file, blobs.resolve("abc"));
        Files.writeString(blobs.resolve("def"), "{}");
        Files.createSymbolicLink(snapshot.resolve("model.safetensors"), Path.of("../../blobs/abc"));
        Files.createSymbolicLink(snapshot.resolve("config.json"), Path.of("../../blobs/def"));
        for (Path input : List.of(snapshot, snapshot.resolve("model.safetensors"))) {
            refused(input, blobs.resolve("abc"));
            refused(input, blobs.resolve("def"));
            refused(input, snapshot.resolve("model.safetensors"));
        }
    }

    @Test
    void shardsInSubfoldersAndAllOfAModelsDirectoryAreTheSource() throws IOException {
        Path shards = Files.createDirectory(models.resolve("shards"));
        Path shard = Files.move(file, shards.resolve("one.safetensors"));
        Path index = models.resolve("model.safetensors.index.json");
        Files.writeString(index, "{\"weight_map\": {\"lm_head.weight\": \"shards/one.safetensors\"}}");
        Path tokenizer = Files.writeString(models.resolve("tokenizer.model"), "any");
        for (Path output : List.of(shard, index, tokenizer)) {
            refused(models, output);
        }
        Path outside = models.resolve("new.safetensors");
        try (OutputFile output = OutputFile.claim(outside, List.of(), false)) {
            assertFails(
                    InvalidDataException.class, () -> output.requireOutside(models), outside, "in the input directory");
        }
        Path linked = Files.createSymbolicLink(directory.resolve("linked"), models);
        try (OutputFile output = OutputFile.claim(linked.resolve("new.safetensors"), List.of(), false)) {
            assertFails(InvalidDataException.class, () -> output.requireOutside(models), "in the input directory");
        }
        taken(models, directory.resolve("new.safetensors"));
    }

    @Test
    void whatBelongsToAModelFileIsNoOutput() throws IOException {
        for (String name : List.of("config.json", "tokenizer.json", "vocab.txt", "model-00002-of-00002.safetensors")) {
            refused(file, Files.writeString(models.resolve(name), "{}"));
        }
        Path link = Files.createSymbolicLink(directory.resolve("link.safetensors"), file);
        refused(link, models.resolve("config.json"));
    }

    /** What does not exist is compared by where it would be. */
    @Test
    void outputsOfOneRunAreToldApartBeforeTheyExist() throws IOException {
        Path linked = Files.createSymbolicLink(directory.resolve("linked"), models);
        Path output = models.resolve("out");
        assertFails(
                InvalidDataException.class,
                () -> OutputFile.claim(linked.resolve("out"), List.of(output), true),
                "another file of this run");
        Path open = Files.createSymbolicLink(directory.resolve("open"), output);
        assertFails(InvalidDataException.class, () -> OutputFile.claim(open, List.of(output), true), "of this run");
        OutputFile.claim(output, List.of(directory.resolve("nowhere/out"), models), true)
                .close();
    }

    @Test
    void aNameHasOneWriterAtATime() throws IOException {
        Path output = directory.resolve("out");
        Path linked = Files.createSymbolicLink(directory.resolve("link"), output);
        OutputFile first = OutputFile.claim(output, List.of(), false);
        for (Path name : List.of(output, linked)) {
            assertFails(FileAccessException.class, () -> OutputFile.claim(name, List.of(), true), name, "another run");
        }
        AtomicFile.writeText(output, "text");
        first.close();
        first.close();
        assertFails(FileAccessException.class, () -> OutputFile.claim(output, List.of(), false), output, "--force");
        OutputFile.claim(linked, List.of(), true).close();
        assertEquals(List.of("link", "models", "out"), names(directory));
    }

    @Test
    void placesWhereNoFileCanBeWritten() throws Exception {
        fails(directory, "is a directory");
        fails(Path.of("/"), "is a directory");
        fails(directory.resolve("missing/out"), "directory does not exist");
        fails(file.resolve("out"), "directory does not exist");
        fails(directory.resolve("n".repeat(300)), "too long");
        if (Files.exists(Path.of("/dev/full"))) {
            fails(Path.of("/dev/full"), "not a regular file");
            Path fifo = directory.resolve("fifo");
            assertEquals(
                    0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
            fails(fifo, "not a regular file");
        }
    }

    @Test
    void aFolderThatMayNotBeWrittenIsFoundBeforehand() throws IOException {
        assumeTrue(Files.getFileStore(models).supportsFileAttributeView("posix"), "no permissions here");
        assumeFalse("root".equals(System.getProperty("user.name")), "root may write anywhere");
        Files.setPosixFilePermissions(models, PosixFilePermissions.fromString("r-xr-xr-x"));
        fails(models.resolve("out"), "permission denied");
        Files.setPosixFilePermissions(models, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private void fails(Path output, String part) {
        assertFails(FileAccessException.class, () -> OutputFile.claim(output, List.of(), true), output, part);
    }

    @Test
    void aDiskWithoutRoomIsFoundBeforehand() throws IOException {
        long free = Files.getFileStore(directory).getUsableSpace();
        try (OutputFile output = OutputFile.claim(directory.resolve("out"), List.of(), false)) {
            output.requireRoom(free / 2.0);
            assertFails(FileAccessException.class, () -> output.requireRoom(2.0 * free + 1e9), "free some space");
        }
        assertTrue(names(directory).equals(List.of("models")));
    }
}
