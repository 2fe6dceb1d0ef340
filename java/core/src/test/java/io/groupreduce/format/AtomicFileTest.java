package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.names;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Names that are hard to write under, and temporary files that must not stay. */
class AtomicFileTest {
    @TempDir
    private Path directory;

    /** A character of two halves at every place near where a long name could be cut. */
    @Test
    void writesUnderNamesWithCharactersBeyondTheBasicPlane() throws IOException {
        assumeTrue(System.getProperty("sun.jnu.encoding").equals("UTF-8"), "names of this system are not Unicode");
        for (int before = 0; before <= 60; before++) {
            Path target = directory.resolve("a".repeat(before) + "\ud83d\ude00".repeat(3) + ".html");
            AtomicFile.writeText(target, "text");
            assertEquals("text", Files.readString(target));
        }
        assertEquals(61, names(directory).size());
    }

    /** What is left to be deleted at the end of a process must not grow for as long as it lives. */
    @Test
    void nothingIsRememberedOfAFinishedFile() {
        Path target = directory.resolve("out");
        for (int i = 0; i < 100; i++) {
            AtomicFile.writeText(target, "text " + i);
            assertFails(
                    FileAccessException.class,
                    () -> AtomicFile.write(target, channel -> {
                        channel.write(ByteBuffer.wrap(new byte[5]));
                        throw new IOException("from the content");
                    }),
                    target);
        }
        assertEquals(0, TemporaryFile.open());
        assertEquals(List.of("out"), names(directory));
    }

    @Test
    void aProcessThatIsEndedLeavesTheEarlierFileAndNoOther() throws Exception {
        Path target = Files.writeString(directory.resolve("out"), "earlier");
        Process process = endless(target);
        try {
            assertEquals(3, names(directory).size(), "the target, its lock and the temporary file");
            process.destroy();
            assertTrue(process.waitFor(1, TimeUnit.MINUTES));
        } finally {
            process.destroyForcibly();
        }
        assertEquals(List.of("out"), names(directory));
        assertEquals("earlier", Files.readString(target));
    }

    @Test
    void whatAKilledProcessLeftIsRemovedAndWhatALivingOneHasIsNot() throws Exception {
        Path target = directory.resolve("out");
        Path other = directory.resolve("other");
        Process process = endless(target);
        try {
            List<String> living = names(directory);
            assertEquals(2, living.size());
            AtomicFile.writeText(other, "text");
            assertEquals(
                    Stream.concat(living.stream(), Stream.of("other")).sorted().toList(), names(directory));
            String refused = assertThrows(FileAccessException.class, () -> AtomicFile.writeText(target, "text"))
                    .getMessage();
            assertTrue(refused.contains("written by another run"), refused);
        } finally {
            process.destroyForcibly();
        }
        assertTrue(process.waitFor(1, TimeUnit.MINUTES));
        assertEquals(3, names(directory).size(), "nothing can be removed by a process that is killed");
        AtomicFile.writeText(other, "text");
        assertEquals(List.of("other"), names(directory));
        AtomicFile.writeText(target, "text");
        assertEquals("text", Files.readString(target));
    }

    /** A lock that cannot be had in the place of a link must not empty what the link leads to. */
    @Test
    void aLinkInThePlaceOfALockIsNotFollowed() throws Exception {
        Path target = directory.resolve("out");
        Path victim = Files.writeString(directory.resolve("victim"), "precious");
        Claim claim = Claim.of(target, target, false);
        String lock = names(directory).stream()
                .filter(name -> name.endsWith(".lock"))
                .findFirst()
                .orElseThrow();
        claim.close();
        Files.createSymbolicLink(directory.resolve(lock), victim);
        assertFails(FileAccessException.class, () -> AtomicFile.writeText(target, "text"), target, "is taken");
        AtomicFile.writeText(directory.resolve("other"), "text");
        assertEquals("precious", Files.readString(victim));
    }

    @Test
    void theEarlierFilesPermissionsStay() throws Exception {
        Path target = Files.writeString(directory.resolve("out"), "earlier");
        assumeTrue(Files.getFileAttributeView(target, PosixFileAttributeView.class) != null, "no permissions here");
        for (String mode : List.of("rw-------", "rw-rw-rw-", "r--r--r--", "rwxr-x---")) {
            Set<PosixFilePermission> permissions = PosixFilePermissions.fromString(mode);
            Files.setPosixFilePermissions(target, permissions);
            AtomicFile.write(target, channel -> {
                for (String name : names(directory)) {
                    Path path = directory.resolve(name);
                    boolean temporary = name.endsWith(".tmp");
                    assertTrue(!temporary || Files.getPosixFilePermissions(path).equals(permissions));
                }
                AtomicFile.writeFully(channel, ByteBuffer.wrap(mode.getBytes(StandardCharsets.UTF_8)));
            });
            assertEquals(permissions, Files.getPosixFilePermissions(target));
            assertEquals(mode, Files.readString(target));
        }
    }

    @Test
    void aLinkStaysAndItsTargetIsWritten() throws Exception {
        Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
        Path target = Files.writeString(elsewhere.resolve("target"), "earlier");
        Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("elsewhere/target"));
        Path second = Files.createSymbolicLink(directory.resolve("second"), Path.of("link"));
        Path open = Files.createSymbolicLink(directory.resolve("open"), elsewhere.resolve("new"));
        AtomicFile.writeText(second, "text");
        AtomicFile.writeText(open, "new text");
        assertTrue(Files.isSymbolicLink(link) && Files.isSymbolicLink(second) && Files.isSymbolicLink(open));
        assertEquals("text", Files.readString(target));
        assertEquals(List.of("new", "target"), names(elsewhere));
        Path round = directory.resolve("round");
        Files.createSymbolicLink(round, round);
        assertFails(FileAccessException.class, () -> AtomicFile.writeText(round, "x"), round);
        Path astray = Files.createSymbolicLink(directory.resolve("astray"), directory.resolve("missing/file"));
        assertFails(FileAccessException.class, () -> AtomicFile.writeText(astray, "x"), "directory does not exist");
    }

    /** A process that has begun to write {@code target} and never comes to its end. */
    private static Process endless(Path target) throws IOException {
        String classes = folder(AtomicFile.class) + System.getProperty("path.separator") + folder(Endless.class);
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        classes,
                        Endless.class.getName(),
                        target.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        assertEquals('.', process.getInputStream().read());
        return process;
    }

    private static Path folder(Class<?> type) {
        String file = type.getName().replace('.', '/') + ".class";
        String url = type.getClassLoader().getResource(file).toString();
        return Path.of(URI.create(url.substring(0, url.length() - file.length())));
    }

    /** Writes half a file and never comes to its end. */
    static final class Endless {
        private Endless() {}

        public static void main(String[] arguments) {
            AtomicFile.write(Path.of(arguments[0]), channel -> {
                channel.write(ByteBuffer.wrap("half".getBytes(StandardCharsets.UTF_8)));
                System.out.write('.');
                System.out.flush();
                while (true) {
                    LockSupport.park();
                }
            });
        }
    }
}
