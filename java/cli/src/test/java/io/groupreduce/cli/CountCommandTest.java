package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CountCommandTest {
    @TempDir
    Path directory;

    private Path tokenizer;
    private Path text;
    private Path output;

    @BeforeEach
    void makeTokenizer() throws Exception {
        String words = IntStream.range(0, Shell.ROWS)
                .mapToObj(i -> "\"w" + i + "\": " + i)
                .collect(Collectors.joining(", "));
        tokenizer = Files.writeString(
                directory.resolve("tokenizer.json"),
                "{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"},"
                        + " \"post_processor\": null, \"decoder\": null, \"model\": {\"type\": \"WordLevel\", \"vocab\": {"
                        + words
                        + "}, \"unk_token\": \"w0\"}}");
        text = Files.writeString(directory.resolve("text.txt"), "w1 w2 w1 other\n");
        output = directory.resolve("counts.tsv");
    }

    private Outcome count(Object... more) {
        Object[] arguments = new Object[5 + more.length];
        System.arraycopy(new Object[] {"count", "--tokenizer", tokenizer, "-o", output}, 0, arguments, 0, 5);
        System.arraycopy(more, 0, arguments, 5, more.length);
        return Shell.run(arguments);
    }

    @Test
    void countsWhatCompressReads() throws Exception {
        Outcome outcome = count(text);
        assertEquals(0, outcome.code(), outcome.err());
        assertEquals("", outcome.err());
        assertTrue(
                outcome.out()
                        .startsWith(output + ": 4 tokens in 1 files of text, 3 of 600 distinct, 597 never seen, in "),
                outcome.out());
        assertTrue(Files.readString(output).startsWith("w0\t1\nw1\t2\nw2\t1\nw3\t0\n"));
        Path model = Shell.model(directory);
        Outcome compressed =
                Shell.run("compress", model, "-o", directory.resolve("out.safetensors"), "--counts", output);
        assertEquals(0, compressed.code(), compressed.err());
        assertFalse(compressed.err().contains("count"), compressed.err());
    }

    @Test
    void readsStandardInputAndPrintsADocument() {
        InputStream before = System.in;
        System.setIn(new ByteArrayInputStream("w5".getBytes(StandardCharsets.UTF_8)));
        try {
            JsonNode document = count("-", text, "--threads", 2, "--json").json();
            assertEquals(5, document.path("tokens").asLong());
            assertEquals(4, document.path("distinct").asLong());
            assertEquals(2, document.path("texts").asLong());
            assertEquals("file", document.path("textUnit").asText());
            assertEquals(17, document.path("bytesRead").asLong());
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void whatIsWrongIsOneSentenceAndNothingIsWritten() throws Exception {
        refused(Main.WRONG_DATA, "does not exist", directory.resolve("none.txt"));
        refused(Main.WRONG_DATA, "is empty", Files.writeString(directory.resolve("empty"), ""));
        refused(Main.WRONG_DATA, "no token", Files.writeString(directory.resolve("blank"), " \n"));
        refused(Main.WRONG_DATA, "no text in UTF-8", text, Files.write(directory.resolve("bytes"), new byte[] {-1}));
        refused(Main.WRONG_USAGE, "--threads is 0", text, "--threads", 0);
        refused(Main.WRONG_USAGE, "TEXT");
        Files.writeString(tokenizer, "{}");
        refused(Main.WRONG_DATA, "no tokenizer.json", text);
        output = tokenizer;
        assertTrue(count(text, "--force").err().contains("is the input itself"));
        assertEquals("{}", Files.readString(tokenizer));
    }

    @Test
    void anExistingFileStaysUnlessForced() throws Exception {
        Files.writeString(output, "mine");
        assertEquals(Main.WRONG_DATA, count(text).code());
        assertEquals("mine", Files.readString(output));
        assertEquals(0, count(text, "--force").code());
        assertTrue(Files.size(output) > 1000);
    }

    private void refused(int code, String part, Object... arguments) {
        Outcome outcome = count(arguments);
        assertEquals(code, outcome.code(), outcome.err());
        assertEquals("", outcome.out());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
        assertTrue(outcome.err().contains(part), outcome.err());
        assertFalse(Files.exists(output));
    }
}
