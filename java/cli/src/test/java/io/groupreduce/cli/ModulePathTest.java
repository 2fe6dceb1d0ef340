package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * All other tests run on the class path, where every package is open. Here the module in {@code resources/consumer}, which knows core
 * alone, is compiled and run in a JVM of its own with core, the backends and their libraries on the module path.
 */
class ModulePathTest {
    private static final Pattern LIBRARY = Pattern.compile(
            ".*/(core|vector|cuda)/target/classes/?|.*/(groupreduce-(core|vector|cuda)|jackson-|ojalgo-|jcu)[^/]*\\.jar");

    @TempDir
    Path directory;

    private String modules;

    @BeforeEach
    void copySourcesAndFindModules() throws Exception {
        for (String name : new String[] {"module-info.java", "Main.java"}) {
            Path source = Path.of(getClass().getResource("/consumer/" + name).toURI());
            Files.copy(source, directory.resolve(name));
        }
        modules = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> LIBRARY.matcher(entry).matches())
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** What the compiler has to say. */
    private String compile() {
        StringWriter said = new StringWriter();
        PrintWriter out = new PrintWriter(said);
        ToolProvider javac = ToolProvider.findFirst("javac").orElseThrow();
        String[] sources = {
            directory.resolve("module-info.java").toString(),
            directory.resolve("Main.java").toString()
        };
        javac.run(out, out, "-p", modules, "-d", directory.resolve("classes").toString(), sources[0], sources[1]);
        return said.toString();
    }

    @Test
    void aModuleCompressesAndAsksAHeadOnTheBackendsItFinds() throws Exception {
        assertEquals("", compile());
        Path said = directory.resolve("said");
        Process java = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx512m",
                        "-p",
                        directory.resolve("classes") + File.pathSeparator + modules,
                        "-m",
                        "consumer/consumer.Main")
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        assertTrue(java.waitFor(5, TimeUnit.MINUTES), "the module does not come to an end");
        String text = Files.readString(said);
        for (String line : new String[] {
            "modules: consumer, io.groupreduce",
            "backends: [cuda, cpu (vector), reference]",
            "open: [io.groupreduce, io.groupreduce.api, io.groupreduce.error, io.groupreduce.matrix]",
            "refused: true",
            "vector: true"
        }) {
            assertTrue(text.lines().anyMatch(line::equals), line + " is missing from:\n" + text);
        }
        assertEquals(0, java.exitValue(), text);
    }

    @Test
    void internalPackagesAreRefusedByTheCompiler() throws IOException {
        Path main = directory.resolve("Main.java");
        Files.writeString(
                main,
                Files.readString(main)
                        .replace(
                                "package consumer;",
                                "package consumer;\nimport io.groupreduce.internal.select.GumbelNoise;"));
        String said = compile();
        assertTrue(said.contains("package io.groupreduce.internal.select is not visible"), said);
    }
}
