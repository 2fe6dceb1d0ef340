package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What commands do with GGUF models. */
class GgufCommandTest {
    private static final int ROWS = 64;
    private static final int COLUMNS = 32;

    /** Where data begin: the next multiple of 32 behind the entry of the tensor. */
    private static final int HEAD = 128;

    @TempDir
    Path folder;

    private Path model;

    /** A tied model of one tensor in F32. */
    @BeforeEach
    void write() throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(HEAD + 4 * ROWS * COLUMNS).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put("GGUF".getBytes(StandardCharsets.US_ASCII))
                .putInt(3)
                .putLong(1)
                .putLong(1);
        text(bytes, "general.architecture").putInt(8);
        text(bytes, "llama");
        text(bytes, "token_embd.weight")
                .putInt(2)
                .putLong(COLUMNS)
                .putLong(ROWS)
                .putInt(0)
                .putLong(0);
        bytes.position(HEAD);
        float[] numbers = Shell.matrix(1, ROWS * COLUMNS / Shell.COLUMNS + 1);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            bytes.putFloat(numbers[i]);
        }
        model = Files.write(folder.resolve("model.gguf"), bytes.array());
    }

    private static ByteBuffer text(ByteBuffer bytes, String text) {
        return bytes.putLong(text.length()).put(text.getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void exportsAndInspectsAndCompresses() throws IOException {
        Path rounded = folder.resolve("rounded.gguf");
        Outcome exported = Shell.run("export", model, "--to", "gguf", "--type", "q8_0", "-o", rounded, "--json");
        assertEquals(0, exported.code(), exported.err());
        JsonNode tensor = exported.json().path("tensors").path(0);
        assertEquals("Q8_0", tensor.path("type").asText());
        assertEquals(ROWS * 34, tensor.path("bytes").asInt());
        assertTrue(tensor.path("relativeError").asDouble() < 0.01, exported.out());
        assertTrue(tensor.path("metricError").isNull());
        assertEquals(Files.size(rounded), exported.json().path("bytes").asLong());
        assertTrue(exported.err().contains("No hidden states were given"), exported.err());

        Outcome inspected = Shell.run("inspect", rounded);
        assertEquals(0, inspected.code(), inspected.err());
        assertTrue(
                inspected.out().contains("embedding and output")
                        && inspected.out().contains("Q8_0"),
                inspected.out());

        Path small = folder.resolve("small.safetensors");
        Outcome compressed =
                Shell.run("compress", rounded, "-o", small, "--ratio", 1.5, "--method", "svd", "--device", "reference");
        assertEquals(0, compressed.code(), compressed.err());
        assertTrue(compressed.out().contains("[64 x 32, Q8_0]"), compressed.out());
        assertTrue(
                Shell.run("inspect", small).out().contains("2.18 kB"),
                Shell.run("inspect", small).out());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--to gguf | 1 | name a type with --type",
                "--to gguf --type Q3 | 2 | --type Q3 is not known; give one of Q4_0,",
                "--to gguf --type Q4_0 --threads 0 | 2 | --threads is 0",
                "--to gguf --external-data | 2 | --external-data belongs to --to onnx",
                "--to dense --type Q4_0 | 2 | belong to --to gguf",
                "--to onnx --model x.onnx --type Q4_0 | 2 | belong to --to gguf"
            })
    void refuses(String options, int code, String message) {
        Path output = folder.resolve("out.gguf");
        Object[] arguments = ("export " + model + " -o " + output + " " + options).split(" ");
        Outcome refused = Shell.run(arguments);
        assertEquals(code, refused.code(), refused.err());
        assertTrue(refused.err().contains(message), refused.err());
        assertFalse(Files.exists(output));
    }

    @Test
    void anInputOfAnotherFormatNeedsTheModel() {
        Outcome named = Shell.run("export", model, "--to", "gguf", "--type", "Q4_0", "-o", folder.resolve("o.onnx"));
        assertEquals(2, named.code());
        assertTrue(named.err().contains("would be a GGUF file under the name of another format"), named.err());
        Outcome refused = Shell.run("export", "model.safetensors", "--to", "gguf", "-o", folder.resolve("o.gguf"));
        assertEquals(2, refused.code());
        assertTrue(refused.err().contains("--to gguf needs --model MODEL.gguf"), refused.err());
    }
}
