package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cli.Shell.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A small model, and what every refusal has in common: one sentence, an exit code, nothing written. */
abstract class RefusalCase {
    @TempDir
    Path directory;

    Path model;
    Path counts;
    Path output;

    @BeforeEach
    void makeModel() throws Exception {
        model = Shell.model(directory);
        counts = directory.resolve("counts.txt");
        output = directory.resolve("out.safetensors");
    }

    /** Runs a compression over an existing output, which must survive. */
    void refused(int code, String part, Path input, Object... more) throws Exception {
        byte[] earlier = {1, 2, 3};
        Files.write(output, earlier);
        List<String> before = names();
        List<Object> arguments = new ArrayList<>(List.of("compress", input, "-o", output, "--force"));
        arguments.addAll(Arrays.asList(more));
        Outcome outcome = Shell.run(arguments.toArray());
        assertEquals(code, outcome.code(), outcome.err());
        assertEquals("", outcome.out());
        List<String> sentences = outcome.err()
                .lines()
                .filter(l -> !l.contains("No counts were given")
                        && !l.contains("counts alike")
                        && !l.contains("Running on the CPU"))
                .toList();
        assertEquals(1, sentences.size(), outcome.err());
        assertTrue(sentences.get(0).startsWith("groupreduce: "), outcome.err());
        assertTrue(sentences.get(0).contains(part), outcome.err());
        assertFalse(outcome.err().contains("\tat "), outcome.err());
        assertArrayEquals(earlier, Files.readAllBytes(output));
        assertEquals(before, names());
    }

    private List<String> names() throws Exception {
        try (var files = Files.list(directory)) {
            return files.map(Path::toString).sorted().toList();
        }
    }
}
