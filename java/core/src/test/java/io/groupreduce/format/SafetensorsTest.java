package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.safetensors;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
    @TempDir
    private Path directory;

    private Path file(byte[] content) {
        return write(directory, "m.safetensors", content);
    }

    private static String entry(String name, String type, String shape, long begin, long end) {
        return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                .formatted(name, type, shape, begin, end);
    }

    @Test
    void readsTensorsInTheOrderOfTheirDataAndMetadata() {
        byte[] data = ByteBuffer.allocate(14)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(1.5f)
                .putFloat(-2f)
                .putInt(7)
                .put((byte) 3)
                .put((byte) 4)
                .array();
        String header = "{" + entry("last", "U8", "[2]", 12, 14) + "," + entry("first", "F32", "[1,2]", 0, 8)
                + ",\"__metadata__\":{\"format\":\"pt\",\"note\":\"é\"}," + entry("one", "I32", "[]", 8, 12)
                + "}   ";
        try (Safetensors read = Safetensors.open(file(safetensors(header, data)))) {
            assertEquals(
                    List.of("first", "one", "last"), List.copyOf(read.tensors().keySet()));
            assertEquals(Map.of("format", "pt", "note", "é"), read.metadata());
            assertArrayEquals(new float[] {1.5f, -2f}, read.require("first").floats());
            assertArrayEquals(new long[] {1, 2}, read.require("first").shape());
            assertArrayEquals(new int[] {7}, read.require("one").ints());
            assertEquals(4, read.require("last").data().get(ValueLayout.JAVA_BYTE, 1));
            assertEquals(directory.resolve("m.safetensors"), read.path());
            assertTrue(read.find("other").isEmpty());
        }
    }

    @Test
    void readsAFileWithoutTensorsAndTensorsWithoutElements() {
        try (Safetensors read = Safetensors.open(file(safetensors("{}", new byte[0])))) {
            assertTrue(read.tensors().isEmpty());
            assertFails(InvalidDataException.class, () -> read.require("a"), "m.safetensors", "\"a\"", "no tensor");
        }
        String header = "{" + entry("b", "U8", "[1]", 0, 1) + "," + entry("a", "F32", "[0,7]", 1, 1) + ","
                + entry("z", "F32", "[0]", 0, 0) + "}";
        try (Safetensors read = Safetensors.open(file(safetensors(header, new byte[1])))) {
            assertEquals(List.of("z", "b", "a"), List.copyOf(read.tensors().keySet()));
            assertEquals(0, read.require("a").floats().length);
        }
    }

    @Test
    void ignoresWhatAHeaderAddsAndANullMetadata() {
        String header = "{\"__metadata__\":null,\"a\":{\"dtype\":\"U8\",\"new\":{\"deep\":[1,{}]},\"shape\":[1],"
                + "\"data_offsets\":[0,1]}}";
        try (Safetensors read = Safetensors.open(file(safetensors(header, new byte[1])))) {
            assertEquals(1, read.tensors().size());
            assertTrue(read.metadata().isEmpty());
        }
    }

    static Stream<Arguments> malformedHeaders() {
        return Stream.of(
                Arguments.of("{\"a\":", new String[] {"not valid JSON", "character"}),
                Arguments.of("{\"a\" 5}", new String[] {"not valid JSON"}),
                Arguments.of("{} x", new String[] {"not valid JSON"}),
                Arguments.of("{}{}", new String[] {"goes on after"}),
                Arguments.of("{\"a\":7}", new String[] {"\"a\"", "not a JSON object"}),
                Arguments.of("{\"a\":{\"shape\":[4],\"data_offsets\":[0,4]}}", new String[] {"\"a\" has no dtype"}),
                Arguments.of("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,4]}}", new String[] {"\"a\" has no shape"}),
                Arguments.of("{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", new String[] {"\"a\" has no data_offsets"}),
                Arguments.of("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", new String[] {"\"a\" has dtype twice"}),
                Arguments.of("{\"a\":{\"dtype\":8}}", new String[] {"dtype", "\"a\"", "not a string"}),
                Arguments.of(
                        "{" + entry("a", "U8", "[4]", 0, 4) + "," + entry("a", "U8", "[4]", 0, 4) + "}",
                        new String[] {"two entries", "\"a\""}),
                Arguments.of("{" + entry("a", "Q4", "[4]", 0, 4) + "}", new String[] {"\"a\"", "dtype \"Q4\""}),
                Arguments.of("{" + entry("a", "U8", "4", 0, 4) + "}", new String[] {"shape", "\"a\"", "array"}),
                Arguments.of("{" + entry("a", "U8", "[4.0]", 0, 4) + "}", new String[] {"shape", "whole number"}),
                Arguments.of("{" + entry("a", "U8", "[-4]", 0, 4) + "}", new String[] {"shape", "negative"}),
                Arguments.of(
                        "{" + entry("a", "U8", "[99999999999999999999]", 0, 4) + "}",
                        new String[] {"shape", "\"a\"", "beyond"}),
                Arguments.of(
                        "{" + entry("a", "U8", "[4294967296,4294967296]", 0, 4) + "}",
                        new String[] {"[4294967296, 4294967296]", "\"a\"", "more elements"}),
                Arguments.of("{" + entry("a", "F4", "[3]", 0, 4) + "}", new String[] {"\"a\"", "whole bytes"}),
                Arguments.of("{" + entry("a", "U8", "[4]", 4, 0) + "}", new String[] {"\"a\"", "begin at 4"}),
                Arguments.of("{" + entry("a", "U8", "[5]", 0, 5) + "}", new String[] {"\"a\"", "end at 5", "only 4"}),
                Arguments.of("{" + entry("a", "U8", "[4]", -4, 0) + "}", new String[] {"data_offsets", "negative"}),
                Arguments.of(
                        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,2,4]}}",
                        new String[] {"\"a\"", "3 numbers instead of 2"}),
                Arguments.of("{" + entry("a", "F32", "[4]", 0, 4) + "}", new String[] {"\"a\"", "needs 16", "span 4"}),
                Arguments.of(
                        "{" + entry("a", "U8", "[3]", 0, 3) + "," + entry("b", "U8", "[2]", 2, 4) + "}",
                        new String[] {"\"b\"", "overlaps", "\"a\""}),
                Arguments.of(
                        "{" + entry("a", "U8", "[1]", 0, 1) + "," + entry("b", "U8", "[2]", 2, 4) + "}",
                        new String[] {"bytes 1 to 2", "belong to no tensor"}),
                Arguments.of(
                        "{" + entry("a", "U8", "[3]", 0, 3) + "}", new String[] {"last 1 bytes belong to no tensor"}),
                Arguments.of("{}", new String[] {"last 4 bytes belong to no tensor"}),
                Arguments.of("{\"__metadata__\":[]}", new String[] {"__metadata__", "not a JSON object"}),
                Arguments.of("{\"__metadata__\":{\"k\":1}}", new String[] {"__metadata__", "\"k\"", "not a string"}),
                Arguments.of(
                        "{\"__metadata__\":{\"k\":\"a\",\"k\":\"b\"}}", new String[] {"__metadata__", "\"k\" twice"}),
                Arguments.of(
                        "{\"__metadata__\":null,\"__metadata__\":{}}", new String[] {"two entries", "__metadata__"}));
    }

    @ParameterizedTest
    @MethodSource("malformedHeaders")
    void namesTheFileAndWhatIsWrongWithItsHeader(String header, String[] parts) {
        Path file = file(safetensors(header, new byte[4]));
        MalformedFileException e =
                assertFails(MalformedFileException.class, () -> Safetensors.open(file), (Object[]) parts);
        assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
    }

    @Test
    void takesUtf8AndNothingElse() {
        byte[] latin = safetensors("{\"__metadata__\":{\"k\":\"?\"}}", new byte[0]);
        latin[8 + 22] = (byte) 0xe9;
        assertFails(MalformedFileException.class, () -> Safetensors.open(file(latin)), "not UTF-8");
        byte[] wide = "{ }".getBytes(StandardCharsets.UTF_16LE);
        byte[] utf16 = ByteBuffer.allocate(8 + wide.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(wide.length)
                .put(wide)
                .array();
        assertFails(MalformedFileException.class, () -> Safetensors.open(file(utf16)), "not valid JSON");
    }

    @Test
    void keepsMessagesOnOneLineWhateverTheNames() {
        String header = "{" + entry("a\\nb\\u2028" + "x".repeat(5000), "Q4\\r", "[4]", 0, 4) + "}";
        assertFails(
                MalformedFileException.class,
                () -> Safetensors.open(file(safetensors(header, new byte[4]))),
                "\"a\\u000ab\\u2028xxx",
                "...\"",
                "\"Q4\\u000d\"");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 7})
    void aFileShorterThanTheLengthIsNone(int size) {
        Path file = file(new byte[size]);
        assertFails(
                MalformedFileException.class,
                () -> Safetensors.open(file),
                file,
                "not a safetensors file",
                size + " bytes");
    }

    @Test
    void textIsNoSafetensorsFile() {
        Path file = file("größer".getBytes(StandardCharsets.UTF_8));
        assertFails(MalformedFileException.class, () -> Safetensors.open(file), file, "not a safetensors file");
        byte[] array = safetensors("[1, 2]", new byte[0]);
        assertFails(MalformedFileException.class, () -> Safetensors.open(file(array)), "not a safetensors file");
    }

    @Test
    void headerLengthsThatCannotBe() {
        byte[] valid = safetensors("{}", new byte[0]);
        ByteBuffer bytes = ByteBuffer.wrap(valid).order(ByteOrder.LITTLE_ENDIAN);
        Map<Long, String> cases = Map.of(
                3L, "is cut off: its header has 3 bytes but the file only 10",
                100_000_001L, "would have 100000001 bytes and the format allows 100000000",
                -1L, "would have 18446744073709551615 bytes",
                0L, "its header is empty");
        cases.forEach((length, message) -> {
            bytes.putLong(0, length);
            Path file = file(valid);
            assertFails(MalformedFileException.class, () -> Safetensors.open(file), file, message);
        });
    }

    @Test
    void everyPrefixOfAFileIsMalformed() {
        byte[] whole = safetensors(
                "{" + entry("a", "U8", "[2]", 0, 2) + "," + entry("b", "F16", "[1]", 2, 4) + "}", new byte[4]);
        for (int size = 0; size < whole.length; size++) {
            Path file = file(Arrays.copyOf(whole, size));
            assertFails(MalformedFileException.class, () -> Safetensors.open(file), file);
        }
    }

    /** 640 is 0x0280: a header of that length starts with the two bytes of a pickle. */
    @Test
    void aHeaderWhoseLengthLooksLikeAPickleIsRead() {
        Path file = file(safetensors("{" + " ".repeat(638) + "}", new byte[0]));
        try (Safetensors read = Safetensors.open(file)) {
            assertTrue(read.tensors().isEmpty());
        }
    }

    @Test
    void whatIsNotAReadableFile() throws Exception {
        Path missing = directory.resolve("missing.safetensors");
        assertFails(FileAccessException.class, () -> Safetensors.open(missing), missing, "does not exist");
        assertFails(FileAccessException.class, () -> Safetensors.open(directory), directory, "is a directory");
        Path device = Path.of("/dev/zero");
        if (Files.exists(device)) {
            assertFails(FileAccessException.class, () -> Safetensors.open(device), device, "not a regular file");
        }
        Path below = write(directory, "plain", "x").resolve("child");
        assertFails(FileAccessException.class, () -> Safetensors.open(below), below);
    }

    @Test
    void aMissingTensorIsAnsweredWithTheNearestNames() {
        StringBuilder header = new StringBuilder("{");
        for (int i = 0; i < 30; i++) {
            header.append(entry("layers." + i + ".bias", "U8", "[1]", i, i + 1)).append(',');
        }
        header.append(entry("lm_head.weight", "U8", "[1]", 30, 31)).append('}');
        try (Safetensors read = Safetensors.open(file(safetensors(header.toString(), new byte[31])))) {
            InvalidDataException e = assertFails(
                    InvalidDataException.class,
                    () -> read.require("head.weight"),
                    "m.safetensors",
                    "\"head.weight\"",
                    "and 23 more");
            assertTrue(e.getMessage().contains("it has \"lm_head.weight\""), e.getMessage());
        }
    }

    @Test
    void closingTwiceIsHarmlessAndEndsTheTensors() {
        Safetensors read = Safetensors.open(file(safetensors("{" + entry("a", "U8", "[1]", 0, 1) + "}", new byte[1])));
        Tensor a = read.require("a");
        assertThrows(IllegalArgumentException.class, () -> a.data().set(ValueLayout.JAVA_BYTE, 0, (byte) 1));
        read.close();
        read.close();
        assertThrows(IllegalStateException.class, () -> a.data().get(ValueLayout.JAVA_BYTE, 0));
    }
}
