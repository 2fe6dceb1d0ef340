package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.matrix;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.error.FileAccessException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MappedFilesTest {
    @TempDir
    private Path directory;

    private Path save(String name) {
        Path file = directory.resolve(name);
        SafetensorsWriter.write(file, List.of(matrix("wte.weight", 4096, 8, 0)), Map.of());
        return file;
    }

    private static void cut(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(100);
        }
    }

    @Test
    void aFileThatIsCutShortWhileItIsReadIsNamed() throws Exception {
        Path other = save("other.safetensors");
        Path file = save("model.safetensors");
        long bytes = Files.size(file);
        try (Safetensors whole = Safetensors.open(other);
                Safetensors cut = Safetensors.open(file)) {
            cut(file);
            assertFails(
                    FileAccessException.class,
                    () -> MappedFiles.reading(() -> cut.require("wte.weight").floats()),
                    file,
                    "from " + bytes + " to 100 bytes");
            assertEquals(
                    1f, MappedFiles.reading(() -> whole.require("wte.weight").floats()[1]));
        }
    }

    @Test
    void whatIsWholeAgainIsRefusedAllTheSame() throws Exception {
        Path file = save("model.safetensors");
        try (Safetensors cut = Safetensors.open(file)) {
            cut(file);
            Supplier<float[]> read = () -> {
                try {
                    return cut.require("wte.weight").floats();
                } catch (InternalError e) {
                    save("model.safetensors");
                    throw e;
                }
            };
            assertFails(FileAccessException.class, () -> MappedFiles.reading(read), "A file changed while it was read");
        }
    }

    @Test
    void otherErrorsOfTheMachineStayWhatTheyAre() {
        InternalError other = new InternalError("something else");
        Supplier<Object> fails = () -> {
            throw other;
        };
        assertSame(other, assertThrows(InternalError.class, () -> MappedFiles.reading(fails)));
    }
}
