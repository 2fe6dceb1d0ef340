package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.groupreduce.cuda.CudaBackendProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a JVM without {@code --enable-native-access} says when it is asked for cards. */
class NativeAccessTest {
    @TempDir
    Path folder;

    @Test
    void nothingIsCalledWithoutADriver() throws Exception {
        assumeFalse(LibraryFolders.loaderHas("libcuda.so.1"), "this machine has a driver");
        assertEquals("cuda: no NVIDIA driver was found (libcuda.so.1)\n", said());
    }

    @Test
    void saysWhichFlagIsMissingWhereNativeCodeIsDenied() throws Exception {
        Files.writeString(folder.resolve("libcuda.so.1"), "no library");
        assertEquals(
                "cuda: Java may not call native code; start it with --enable-native-access=ALL-UNNAMED, or use --device cpu\n",
                said("--illegal-native-access=deny", "-D" + CudaLibraries.PROPERTY + "=" + folder));
    }

    /** All that such a JVM prints, its warnings with it. */
    private String said(String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Probe.class.getName()));
        Path output = folder.resolve("said");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        // Java says it when it takes options from there.
        builder.environment().keySet().removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
        builder.start().waitFor();
        return Files.readString(output);
    }

    /** Prints the first card, or why there is none. */
    static final class Probe {
        private Probe() {}

        public static void main(String[] args) {
            new CudaBackendProvider()
                    .probe()
                    .forEach(status -> System.out.println(status.device() + ": " + status.reason()));
        }
    }
}
