package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.names;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
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
        String classes = folder(AtomicFile.class) + System.getProperty("path.separator") + folder(Endless.class);
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        classes,
                        Endless.class.getName(),
                        target.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try {
            assertEquals('.', process.getInputStream().read());
            assertEquals(2, names(directory).size());
            process.destroy();
            assertTrue(process.waitFor(1, TimeUnit.MINUTES));
        } finally {
            process.destroyForcibly();
        }
        assertEquals(List.of("out"), names(directory));
        assertEquals("earlier", Files.readString(target));
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
