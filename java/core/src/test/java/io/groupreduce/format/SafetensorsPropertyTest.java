package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** What is written is what is read, for any names, types, shapes and bytes. */
class SafetensorsPropertyTest {
    @Provide
    Arbitrary<String> text() {
        Arbitrary<Integer> points = Arbitraries.oneOf(
                Arbitraries.integers().between(0, 0x7f),
                Arbitraries.integers().between(0x80, 0xd7ff),
                Arbitraries.integers().between(0xe000, 0x10ffff));
        return points.list()
                .ofMaxSize(12)
                .map(list -> list.stream().map(Character::toString).reduce("", String::concat));
    }

    @Provide
    Arbitrary<Map<String, String>> metadata() {
        return Arbitraries.maps(text(), text()).ofMaxSize(5);
    }

    @Provide
    Arbitrary<List<Tensor>> tensors() {
        Arbitrary<long[]> shapes =
                Arbitraries.longs().between(0, 6).array(long[].class).ofMaxSize(4);
        Arbitrary<Tensor> one = Combinators.combine(
                        text().filter(name -> !name.equals(SafetensorsHeader.METADATA)),
                        Arbitraries.of(DType.class),
                        shapes,
                        Arbitraries.longs())
                .as(SafetensorsPropertyTest::tensor);
        return one.list().ofMaxSize(8).uniqueElements(Tensor::name);
    }

    private static Tensor tensor(String name, DType type, long[] shape, long seed) {
        long[] whole = shape;
        if (Tensor.storedBytes(type, shape) < 0) {
            whole = new long[] {8, shape.length};
        }
        byte[] data = new byte[(int) Tensor.storedBytes(type, whole)];
        new Random(seed).nextBytes(data);
        return new Tensor(name, type, whole, MemorySegment.ofArray(data));
    }

    @Property(tries = 100)
    void writingAndReadingGivesTheSame(
            @ForAll("tensors") List<Tensor> tensors, @ForAll("metadata") Map<String, String> metadata)
            throws IOException {
        Path file = Files.createTempFile("property", ".safetensors");
        try {
            SafetensorsWriter.write(file, tensors, metadata);
            try (Safetensors read = Safetensors.open(file)) {
                assertEquals(metadata, read.metadata());
                assertSame(tensors, List.copyOf(read.tensors().values()));
            }
        } finally {
            Files.delete(file);
        }
    }

    private static void assertSame(List<Tensor> written, List<Tensor> read) {
        assertEquals(written.size(), read.size());
        for (int i = 0; i < read.size(); i++) {
            assertEquals(written.get(i).name(), read.get(i).name());
            assertEquals(written.get(i).type(), read.get(i).type());
            assertArrayEquals(written.get(i).shape(), read.get(i).shape());
            assertEquals(-1, written.get(i).data().mismatch(read.get(i).data()));
        }
    }

    /** The order of entries in the header means nothing: only offsets do. */
    @Property(tries = 100)
    void entriesMayStandInAnyOrder(@ForAll("tensors") List<Tensor> tensors, @ForAll long seed) {
        List<String> entries = new ArrayList<>();
        List<Tensor> full = tensors.stream().filter(t -> t.bytes() > 0).toList();
        long at = 0;
        for (int i = 0; i < full.size(); i++) {
            Tensor t = full.get(i);
            entries.add("\"%d\":{\"data_offsets\":[%d,%d],\"dtype\":\"%s\",\"shape\":%s}"
                    .formatted(i, at, at + t.bytes(), t.type(), Arrays.toString(t.shape())));
            at += t.bytes();
        }
        Collections.shuffle(entries, new Random(seed));
        byte[] header = ("{" + String.join(",", entries) + "}").getBytes(StandardCharsets.UTF_8);
        List<SafetensorsHeader.Entry> read =
                SafetensorsHeader.parse(Path.of("m"), header, at).entriesInOrder();
        for (int i = 0; i < full.size(); i++) {
            assertEquals(Integer.toString(i), read.get(i).name());
            assertEquals(full.get(i).type(), read.get(i).type());
            assertEquals(full.get(i).bytes(), read.get(i).end() - read.get(i).begin());
        }
    }

    /** Counts survive any tokens, line ends and padding that a tokenizer may bring. */
    @Property(tries = 100)
    void countsSurviveAnyToken(
            @ForAll("tokens") List<String> tokens, @ForAll boolean windows, @ForAll boolean lastEnd, @ForAll long seed)
            throws IOException {
        Random random = new Random(seed);
        long[] counts = random.longs(tokens.size(), 0, 1L << 40).toArray();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < counts.length; i++) {
            boolean last = i == counts.length - 1;
            text.append(tokens.get(i)).append('\t').append(counts[i]);
            text.append(last && !lastEnd ? "" : windows ? "\r\n" : "\n");
        }
        Path file = Files.createTempFile("property", ".tsv");
        try {
            Files.writeString(file, text);
            assertArrayEquals(counts, CountsFile.read(file, counts.length));
        } finally {
            Files.delete(file);
        }
    }

    @Provide
    Arbitrary<List<String>> tokens() {
        return text().map(t -> t.replace("\n", "")).list().ofMinSize(1).ofMaxSize(20);
    }

    /** The 16-bit types widen to binary32 as the JDK and the bit pattern say. */
    @Property(tries = 100)
    void halfPrecisionIsReadExactly(@ForAll short[] bits) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(2L * bits.length).copyFrom(MemorySegment.ofArray(bits));
            long[] shape = {bits.length};
            float[] halves = new Tensor("h", DType.F16, shape, data).floats();
            float[] brains = new Tensor("b", DType.BF16, shape, data).floats();
            for (int i = 0; i < bits.length; i++) {
                assertEquals(Float.float16ToFloat(bits[i]), halves[i]);
                assertEquals(Float.intBitsToFloat(bits[i] << 16), brains[i]);
            }
        }
    }
}
