package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.format.SafetensorsWriter;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is printed arrives or is said to be lost, and nothing in a file speaks to the terminal. */
class StandardOutputTest {
    /** A file's own words: a line of its own, a title of the window, colours, text from right to left. */
    private static final String HOSTILE = "lm_head.weight\ngroupreduce: done\u001b]0;title\u0007\u009b31m\u202eabc";

    @TempDir
    private Path directory;

    private static Outcome run(OutputStream stream, Object... arguments) {
        StandardOutput out = new StandardOutput(stream);
        StringWriter err = new StringWriter();
        String[] texts = new String[arguments.length];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = String.valueOf(arguments[i]);
        }
        int code = Main.run(new PrintWriter(out, true, StandardCharsets.UTF_8), new PrintWriter(err), texts);
        return new Outcome(out.exitCode(code, new PrintWriter(err)), "", err.toString());
    }

    @Test
    void aResultThatIsLostOnAFullDiskIsAFailure() throws Exception {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.exists(full), "no full device here");
        Path model = Shell.model(directory);
        Object[][] commands = {
            {"--help"},
            {"compress", "--help"},
            {"help", "inspect"},
            {"--version"},
            {"devices"},
            {"devices", "--json"},
            {"inspect", model},
            {"inspect", model, "--json"}
        };
        for (Object[] command : commands) {
            try (OutputStream stream = new FileOutputStream(full.toFile())) {
                Outcome outcome = run(stream, command);
                assertEquals(Main.FAILED_MACHINE, outcome.code());
                assertEquals(1, outcome.err().lines().count(), outcome.err());
                assertTrue(outcome.err().contains("standard output cannot be written (No space left"), outcome.err());
            }
        }
        try (OutputStream stream = new FileOutputStream(full.toFile())) {
            Outcome outcome = run(stream, "inspect", directory.resolve("missing"));
            assertEquals(Main.WRONG_DATA, outcome.code());
            assertFalse(outcome.err().contains("standard output"), outcome.err());
        }
    }

    @Test
    void aReaderThatIsGoneIsNoFailureToReport() throws Exception {
        Process reader = new ProcessBuilder("sh", "-c", "exec 0<&-; sleep 30").start();
        try {
            // Until the other end is closed what is written disappears in the pipe.
            Outcome outcome = run(reader.getOutputStream(), "--help");
            for (int i = 0; i < 1000 && outcome.code() == 0; i++) {
                Thread.sleep(5);
                outcome = run(reader.getOutputStream(), "--help");
            }
            assertEquals(StandardOutput.BROKEN_PIPE, outcome.code());
            assertEquals("", outcome.err());
        } finally {
            reader.destroyForcibly();
        }
    }

    @Test
    void namesInAFileAreSpelledOutWhereverTheyArePrinted() {
        Path model = directory.resolve("model.safetensors");
        SafetensorsWriter.write(
                model,
                List.of(
                        Shell.tensor(HOSTILE, Shell.matrix(1, 60), 60, Shell.COLUMNS),
                        Shell.tensor("n".repeat(40_000), new float[] {1}, 1)),
                Map.of());
        Path output = directory.resolve("out.safetensors");
        Path report = directory.resolve("report.html");
        Object[][] commands = {
            {"inspect", model},
            {"compress", model, "-o", output, "--ratio", "5000"},
            {"compress", model, "-o", output, "--tensor", "none\u001b[31m", "--verbose"},
            {"compress", model, "-o", output, "--tensor", HOSTILE, "--ratio", "2", "--method", "svd"},
            {"inspect", output},
            {"export", output, "--to", "dense\u001b[31m", "-o", report},
        };
        for (Object[] command : commands) {
            Outcome outcome = Shell.run(command);
            String printed = outcome.out() + outcome.err();
            assertTrue(printed.contains("\\u001b"), printed);
            assertTrue(printed.lines().noneMatch(line -> line.startsWith("groupreduce: done")), printed);
            assertTrue(
                    printed.replaceAll("[\n\t]", "").codePoints().noneMatch(c -> c < 32 || c > 126 && c < 160),
                    printed);
            assertFalse(printed.contains("\u202e"));
            assertTrue(printed.length() < 50_000, "a long name pads no other line");
        }
        JsonNode json = Shell.run("inspect", model, "--json").json();
        assertEquals(HOSTILE, json.path("tensors").get(0).path("name").asText());
    }

    @Test
    void jsonIsPlainAsciiAndHasNoWordForInfinity() {
        Estimate huge = Estimate.exact(1e9);
        Estimate half = new Estimate(0.5, Double.NaN, Double.NaN);
        Evaluation evaluation = new Evaluation(5, huge, huge, Estimate.exact(1), half, half, half);
        List<String> lines = Summary.lines(evaluation);
        assertEquals("perplexity on 5 tokens: not finite", lines.get(0));
        assertEquals("a not finite, 3 %, 1.50", Texts.format("a %.3f, %d %%, %.2f", Double.NaN, 3, 1.5));
        String json = Json.of(Map.of("größe", Double.NEGATIVE_INFINITY, "x", Summary.document(evaluation)));
        assertTrue(json.contains("\"gr\\u00F6\\u00DFe\" : null"), json);
        assertTrue(json.contains("\"densePerplexity\" : null"), json);
        assertTrue(json.contains("\"meanKl\" : 0.5,") && json.contains("\"meanKlInterval\" : null"), json);
        assertFalse(json.contains("Infinity") || json.contains("NaN"), json);
    }
}
