package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.safetensors;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Fuzz;
import io.groupreduce.error.MalformedFileException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damaged safetensors files: each is read or refused. */
class SafetensorsFuzzTest {
    private static final int ROUNDS = 500;

    private static final String HEADER = """
            {"__metadata__":{"format":"pt","note":"a \\u00e9 \\ud83d\\ude00"},\
            "model.embed_tokens.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},\
            "lm_head.weight":{"dtype":"BF16","shape":[3,2],"data_offsets":[24,36]},\
            "empty":{"dtype":"I64","shape":[0,9],"data_offsets":[36,36]},\
            "flags":{"dtype":"BOOL","shape":[4],"data_offsets":[36,40]}}""";

    /** What JSON parsers, number parsers and size computations stumble over. */
    private static final List<String> SNIPPETS = List.of(
            "-1",
            "0",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775809",
            "1e400",
            "1.5",
            "0x10",
            "NaN",
            "null",
            "true",
            "\"\"",
            "[]",
            "{}",
            "[[]]",
            "{\"a\":{}}",
            "[".repeat(3000),
            "{\"a\":".repeat(2000),
            "1".repeat(5000),
            "\"" + "n".repeat(60_000) + "\"",
            "\\u0000",
            "\\ud800",
            "\"\\ud800\":{},",
            "\u0000",
            ",",
            "\"dtype\":\"F64\",",
            "\"shape\":[1],",
            "\"data_offsets\":[0,0],",
            "\"__metadata__\":{},",
            "\n",
            "\ufeff",
            "4294967296,4294967296,4294967296",
            "\"empty\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},");

    @TempDir
    private Path directory;

    private void fuzz(BiFunction<Random, byte[], byte[]> mutation) {
        byte[] valid = safetensors(HEADER, new byte[40]);
        assertTrue(Fuzz.refused(ROUNDS, random -> open(mutation.apply(random, valid.clone()))) > 0.1);
    }

    /** Reads everything a caller could, so that a wrong bound shows as well as a wrong parse. */
    private void open(byte[] content) {
        try (Model model = Model.open(write(directory, "fuzzed.safetensors", content))) {
            for (Tensor tensor : model.tensors().values()) {
                MemorySegment copy = MemorySegment.ofArray(new byte[(int) tensor.bytes()]);
                assertTrue(copy.copyFrom(tensor.data()).byteSize() <= content.length);
            }
            model.compressible().forEach(t -> t.matrix("fuzzed"));
        }
    }

    @Test
    void theUnchangedFileOpens() {
        open(safetensors(HEADER, new byte[40]));
    }

    @Test
    void randomBytes() {
        fuzz((random, file) -> {
            int n = 1 + random.nextInt(4);
            for (int i = 0; i < n; i++) {
                file[random.nextInt(file.length)] = (byte) random.nextInt(256);
            }
            return file;
        });
    }

    @Test
    void flippedBitsInTheHeader() {
        fuzz((random, file) -> {
            file[8 + random.nextInt(file.length - 48)] ^= (byte) (1 << random.nextInt(8));
            return file;
        });
    }

    @Test
    void headerLengths() {
        fuzz((random, file) -> {
            long length = random.nextBoolean() ? random.nextLong() >>> random.nextInt(64) : random.nextInt(600);
            ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
            return file;
        });
    }

    @Test
    void cutAndLengthenedFiles() {
        fuzz((random, file) -> {
            byte[] changed = Arrays.copyOf(file, random.nextInt(2 * file.length));
            ByteBuffer bytes = ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN);
            if (random.nextBoolean() && changed.length > 8) {
                bytes.putLong(0, random.nextInt(changed.length));
            }
            return changed;
        });
    }

    @Test
    void insertedRemovedAndRepeatedJson() {
        fuzz((random, file) -> {
            StringBuilder header = new StringBuilder(HEADER);
            int n = 1 + random.nextInt(3);
            for (int i = 0; i < n; i++) {
                mutate(random, header);
            }
            String changed = header.toString();
            return safetensors(changed, new byte[random.nextInt(4) == 0 ? random.nextInt(80) : 40]);
        });
    }

    private static void mutate(Random random, StringBuilder header) {
        int at = random.nextInt(header.length() + 1);
        int to = Math.min(header.length(), at + random.nextInt(40));
        switch (random.nextInt(5)) {
            case 0 -> header.insert(at, SNIPPETS.get(random.nextInt(SNIPPETS.size())));
            case 1 -> header.replace(at, to, SNIPPETS.get(random.nextInt(SNIPPETS.size())));
            case 2 -> header.delete(at, to);
            case 3 -> header.insert(random.nextInt(header.length() + 1), header.substring(at, to));
            default -> replaceNumber(random, header);
        }
    }

    /** Keeps the JSON valid, so that the checks behind the parser are reached. */
    private static void replaceNumber(Random random, StringBuilder header) {
        int from = random.nextInt(header.length() + 1);
        while (from < header.length() && !Character.isDigit(header.charAt(from))) {
            from++;
        }
        int to = from;
        while (to < header.length() && Character.isDigit(header.charAt(to))) {
            to++;
        }
        long number = random.nextBoolean() ? random.nextInt(50) : random.nextLong() >>> random.nextInt(64);
        header.replace(from, to, Long.toString(number));
    }

    /** A header within the limits of the format that is nothing but nesting, names, or shape. */
    @Test
    void largeHostileHeadersAreRefused() {
        int million = 1_000_000;
        List<String> headers = List.of(
                "{\"a\":".repeat(million),
                "{\"a\":{\"x\":" + "[".repeat(million),
                "{\"" + "n".repeat(10 * million),
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[" + "1,".repeat(million) + "2],\"data_offsets\":[0,1]}}",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[" + "9".repeat(million) + "],\"data_offsets\":[0,1]}}",
                "{\"__metadata__\":{\"k\":\"" + "\\u0000".repeat(million) + "\"}}");
        for (String header : headers) {
            byte[] file = safetensors(header, "x".getBytes(StandardCharsets.US_ASCII));
            assertFails(MalformedFileException.class, () -> open(file), "fuzzed.safetensors");
        }
    }
}
