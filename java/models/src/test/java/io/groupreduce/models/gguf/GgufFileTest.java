package io.groupreduce.models.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.GroupReduceException;
import io.groupreduce.format.Model;
import io.groupreduce.format.VocabularyMatrix;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufFileTest {
    private static final float[] NUMBERS = {1, 2, 3, 4, 5, 6};

    @TempDir
    Path folder;

    private static TestGguf sample() {
        return new TestGguf()
                .with("general.architecture", "llama")
                .with("a.byte", (byte) -3)
                .with("a.short", (short) 65_535)
                .with("a.count", -1)
                .with("a.large", 1L << 40)
                .with("a.factor", 0.5f)
                .with("a.precise", 0.1)
                .with("a.flag", true)
                .with("tokenizer.ggml.tokens", List.of("<s>", "\u0120the", ""))
                .with("tokenizer.ggml.scores", List.of(0f, -1.5f, 2f))
                .with("a.nested", List.of(List.of("x"), List.of("y", "z")))
                .floats("token_embd.weight", NUMBERS, 3, 2)
                .tensor("blk.0.attn", 8, new byte[34], 32, 1);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void readsMetadataAndTensors(int version) {
        TestGguf written = sample();
        written.version = version;
        try (GgufFile file = GgufFile.open(written.write(folder.resolve("m.gguf")))) {
            GgufMetadata metadata = file.metadata();
            assertEquals(11, metadata.keys().size());
            assertEquals("llama", metadata.text("general.architecture").orElseThrow());
            assertEquals(-3, metadata.integer("a.byte").orElseThrow());
            assertEquals(65_535, metadata.integer("a.short").orElseThrow());
            assertEquals(0xffffffffL, metadata.integer("a.count").orElseThrow());
            assertEquals(1L << 40, metadata.integer("a.large").orElseThrow());
            assertEquals(0.5, metadata.number("a.factor").orElseThrow());
            assertEquals(0.1, metadata.number("a.precise").orElseThrow());
            assertEquals(1, metadata.integer("a.flag").orElseThrow());
            assertEquals(List.of("<s>", "\u0120the", ""), metadata.texts("tokenizer.ggml.tokens"));
            assertArrayEquals(new double[] {0, -1.5, 2}, metadata.numbers("tokenizer.ggml.scores"));
            assertEquals(2, metadata.length("a.nested").orElseThrow());
            assertTrue(metadata.text("b").isEmpty() && metadata.texts("b").isEmpty());

            assertEquals(
                    List.of("token_embd.weight", "blk.0.attn"),
                    List.copyOf(file.tensors().keySet()));
            GgufTensor tensor = file.tensors().get("token_embd.weight");
            assertEquals(GgufType.F32, tensor.type());
            assertArrayEquals(new long[] {2, 3}, tensor.shape());
            assertArrayEquals(
                    NUMBERS,
                    tensor.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN)));
        }
    }

    @Test
    void aValueOfAnotherKindIsRefused() {
        try (GgufFile file = GgufFile.open(sample().write(folder.resolve("m.gguf")))) {
            GgufMetadata metadata = file.metadata();
            for (Consumer<String> read :
                    List.<Consumer<String>>of(metadata::text, metadata::texts, metadata::numbers, metadata::length)) {
                assertSentence(
                        assertThrows(GroupReduceException.class, () -> read.accept("a.flag")),
                        "\"a.flag\" is of kind BOOL");
            }
            assertSentence(
                    assertThrows(GroupReduceException.class, () -> metadata.number("general.architecture")),
                    "is of kind STRING where a number is needed");
        }
    }

    static Stream<Arguments> bad() {
        Stream.Builder<Arguments> cases = Stream.builder();
        refused(cases, "big-endian", g -> g.order = ByteOrder.BIG_ENDIAN);
        refused(cases, "version 1, and versions 2 and 3", g -> g.version = 1);
        refused(cases, "version 4, and versions 2 and 3", g -> g.version = 4);
        refused(cases, "\"x\" has the type 99, which is not known", g -> g.tensor("x", 99, new byte[4], 1));
        refused(cases, "\"x\" has the type 4, which is not known", g -> g.tensor("x", 4, new byte[20], 32));
        refused(cases, "claims 1152921504606846976 tensors", g -> g.claimedTensors = 1L << 60);
        refused(cases, "claims 18446744073709551615 tensors", g -> g.claimedTensors = -1L);
        refused(cases, "two tensors \"blk.0.attn\"", g -> g.floats("blk.0.attn", NUMBERS, 6));
        refused(cases, "begins at byte 8 of the data, which is no multiple of the alignment 32", g -> g.shift = 8);
        refused(cases, "from byte 4294967", g -> g.shift = 1L << 32);
        refused(cases, "aligns its tensors to 12 bytes", g -> g.with("general.alignment", 12));
        refused(cases, "aligns its tensors to 0 bytes", g -> g.with("general.alignment", 0));
        refused(cases, "\"x\" has 5 sides", g -> g.floats("x", new float[1], 1, 1, 1, 1, 1));
        refused(
                cases,
                "\"x\" cannot have shape [9223372036854775807, 4]",
                g -> g.floats("x", NUMBERS, 4, Long.MAX_VALUE));
        refused(cases, "\"x\" cannot have shape [-2]", g -> g.floats("x", NUMBERS, -2));
        refused(cases, "\"x\" has rows of 48 numbers", g -> g.tensor("x", 8, new byte[51], 48));
        return cases.build();
    }

    private static void refused(Stream.Builder<Arguments> cases, String message, Consumer<TestGguf> change) {
        cases.add(Arguments.of(message, change));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("bad")
    void refuses(String message, Consumer<TestGguf> change) {
        TestGguf written = sample();
        change.accept(written);
        assertRefused(written.bytes(), message);
    }

    @Test
    void refusesWhatIsCutOffAnywhere() {
        byte[] whole = sample().bytes();
        // The data of the last tensor end with the file. A step that shares no factor with the sizes of fields meets
        // every kind of them.
        for (int length = whole.length - 1; length >= 4; length -= 13) {
            assertRefused(Arrays.copyOf(whole, length), "download it again");
        }
        assertRefused(new byte[3], "is no GGUF file");
        assertRefused(new byte[64], "is no GGUF file");
    }

    /** Whatever bytes of the head are changed: the file opens, or it is refused in a sentence. */
    @Test
    void noDamageIsMoreThanARefusal() throws IOException {
        byte[] whole = sample().bytes();
        Random random = new Random(16);
        Path file = folder.resolve("m.gguf");
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] bytes = whole.clone();
            for (int k = 0; k <= i % 3; k++) {
                int at = random.nextInt(bytes.length - 100);
                bytes[at] = (byte) (i % 2 == 0 ? random.nextInt() : bytes[at] ^ 1 << random.nextInt(8));
            }
            Files.write(file, bytes);
            try (Model model = Model.open(file)) {
                model.vocabulary().stream()
                        .filter(VocabularyMatrix::taken)
                        .forEach(found -> model.matrix(found.tensor().name()));
            } catch (GroupReduceException e) {
                assertSentence(e, "");
                refused++;
            }
        }
        assertTrue(refused > 100, refused + " refused");
    }

    @Test
    void refusesLengthsThatNoFileCanHold() {
        byte[] bytes = new TestGguf().with("key", "value").bytes();
        int lengthOfKey = 24;
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(lengthOfKey, Long.MAX_VALUE);
        assertRefused(bytes, "claims 9223372036854775807 bytes of a text at byte 24");

        byte[] array = new TestGguf().with("key", List.of(1L)).bytes();
        ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN).putLong(array.length - 16, 1L << 61);
        assertRefused(array, "claims 2305843009213693952 values of \"key\"");

        byte[] kind = new TestGguf().with("key", 1).bytes();
        kind[kind.length - 8] = 13;
        assertRefused(kind, "of a kind 13 that there is not");

        Object deep = List.of("x");
        for (int i = 0; i < 1000; i++) {
            deep = List.of(deep);
        }
        assertRefused(new TestGguf().with("key", deep).bytes(), "more than 8 deep");
    }

    @Test
    void refusesTwoValuesOfAKey() {
        byte[] bytes = new TestGguf().with("key1", 1).with("key2", 2).bytes();
        bytes[24 + 8 + 4 + 8 + 8 + 3] = '1';
        assertRefused(bytes, "two values of \"key1\"");
    }

    @Test
    void refusesTensorsThatLieOverEachOther() {
        byte[] bytes = new TestGguf()
                .floats("first", new float[16], 16)
                .floats("other", new float[16], 16)
                .bytes();
        // The last eight bytes of the entries are the place of the second tensor; padding follows.
        int at = 24 + (8 + 5 + 4 + 8 + 4 + 8) * 2 - 8;
        assertEquals(64, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(at));
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(at, 32);
        assertRefused(bytes, "\"first\" and \"other\" lie over each other");
    }

    private static TestGguf part(int number, int count) {
        return new TestGguf().with("split.no", (short) number).with("split.count", (short) count);
    }

    private Path name(int number, int count) {
        return folder.resolve(String.format("m-%05d-of-%05d.gguf", number, count));
    }

    @Test
    void opensAllPartsOfASplitModel() throws IOException {
        Path first = part(0, 3)
                .with("split.tensors.count", 3)
                .floats("a", NUMBERS, 6)
                .write(name(1, 3));
        part(1, 3).floats("b", NUMBERS, 3, 2).write(name(2, 3));
        Path last = part(2, 3).floats("c", NUMBERS, 2, 3).write(name(3, 3));
        try (GgufFile file = GgufFile.open(first)) {
            assertEquals(List.of("a", "b", "c"), List.copyOf(file.tensors().keySet()));
            assertEquals(last, file.tensors().get("c").file());
            assertEquals(3, file.files().size());
        }
        assertRefused(last, "is part 3 of 3 of a model; name the first, \"m-00001-of-00003.gguf\"");

        part(2, 3).floats("a", NUMBERS, 2, 3).write(last);
        assertRefused(first, "has two tensors \"a\"");
        part(1, 3).floats("c", NUMBERS, 2, 3).write(last);
        assertRefused(first, "is not part 3 of the 3 that its name says");
        part(2, 3).write(last);
        assertRefused(first, "its parts have 3 tensors together, and they have 2");
        Files.delete(last);
        assertRefused(first, "has part 3 of 3 in \"m-00003-of-00003.gguf\", which is not there");
        assertRefused(Files.move(first, folder.resolve("first.gguf")), "must end in -00001-of-00003.gguf");
    }

    private void assertRefused(byte[] bytes, String message) {
        try {
            assertRefused(Files.write(folder.resolve("m.gguf"), bytes), message);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static void assertRefused(Path file, String message) {
        assertSentence(
                assertThrows(
                        GroupReduceException.class, () -> GgufFile.open(file).close()),
                message);
    }

    private static void assertSentence(GroupReduceException e, String message) {
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().endsWith(".") && !e.getMessage().contains("\n"), e.getMessage());
    }
}
