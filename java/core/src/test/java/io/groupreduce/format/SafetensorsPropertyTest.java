package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What is written is what is read, for any names, types, shapes and bytes. Every run adds seeds of its own to some that stay; a test that
 * fails is named after its seed.
 */
class SafetensorsPropertyTest {
    /** Code points where something may begin or end to be special. */
    private static final int[] EDGES = {
        0, '"', '\\', '/', '\n', '\r', '\t', 0x7f, 0x80, 0xd7ff, 0xe000, 0xffff, 0x10ffff
    };

    @TempDir
    Path directory;

    static LongStream seeds() {
        return LongStream.concat(LongStream.range(0, 50), new Random().longs(100));
    }

    private static String text(Random random) {
        StringBuilder text = new StringBuilder();
        for (int n = random.nextInt(13); n > 0; n--) {
            text.appendCodePoint(
                    switch (random.nextInt(4)) {
                        case 0 -> random.nextInt(0x80);
                        case 1 -> random.nextInt(0x80, 0xd800);
                        case 2 -> random.nextInt(0xe000, 0x110000);
                        default -> EDGES[random.nextInt(EDGES.length)];
                    });
        }
        return text.toString();
    }

    private static List<Tensor> tensors(Random random) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (int n = random.nextInt(9); n > 0; n--) {
            String name = text(random);
            DType type = DType.values()[random.nextInt(DType.values().length)];
            long[] shape = random.longs(random.nextInt(5), 0, 7).toArray();
            if (Tensor.storedBytes(type, shape) < 0) {
                shape = new long[] {8, shape.length};
            }
            byte[] data = new byte[(int) Tensor.storedBytes(type, shape)];
            random.nextBytes(data);
            if (!name.equals(SafetensorsHeader.METADATA)) {
                tensors.put(name, new Tensor(name, type, shape, MemorySegment.ofArray(data)));
            }
        }
        return List.copyOf(tensors.values());
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void writingAndReadingGivesTheSame(long seed) throws IOException {
        Random random = new Random(seed);
        List<Tensor> tensors = tensors(random);
        Map<String, String> metadata = new LinkedHashMap<>();
        for (int n = random.nextInt(6); n > 0; n--) {
            metadata.put(text(random), text(random));
        }
        Path file = directory.resolve("any.safetensors");
        SafetensorsWriter.write(file, tensors, metadata);
        try (Safetensors read = Safetensors.open(file)) {
            assertEquals(metadata, read.metadata());
            List<Tensor> found = List.copyOf(read.tensors().values());
            assertEquals(tensors.size(), found.size());
            for (int i = 0; i < found.size(); i++) {
                assertEquals(tensors.get(i).name(), found.get(i).name());
                assertEquals(tensors.get(i).type(), found.get(i).type());
                assertArrayEquals(tensors.get(i).shape(), found.get(i).shape());
                assertEquals(-1, tensors.get(i).data().mismatch(found.get(i).data()));
            }
        }
    }

    /** The order of entries in the header means nothing: only offsets do. */
    @ParameterizedTest
    @MethodSource("seeds")
    void entriesMayStandInAnyOrder(long seed) {
        Random random = new Random(seed);
        List<Tensor> full = tensors(random).stream().filter(t -> t.bytes() > 0).toList();
        List<String> entries = new ArrayList<>();
        long at = 0;
        for (int i = 0; i < full.size(); i++) {
            Tensor t = full.get(i);
            entries.add("\"%d\":{\"data_offsets\":[%d,%d],\"dtype\":\"%s\",\"shape\":%s}"
                    .formatted(i, at, at + t.bytes(), t.type(), Arrays.toString(t.shape())));
            at += t.bytes();
        }
        Collections.shuffle(entries, random);
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
    @ParameterizedTest
    @MethodSource("seeds")
    void countsSurviveAnyToken(long seed) throws IOException {
        Random random = new Random(seed);
        long[] counts = random.longs(1 + random.nextInt(20), 0, 1L << 40).toArray();
        String end = random.nextBoolean() ? "\r\n" : "\n";
        StringBuilder text = new StringBuilder();
        for (long count : counts) {
            text.append(text(random).replace("\n", ""))
                    .append('\t')
                    .append(count)
                    .append(end);
        }
        if (random.nextBoolean()) {
            text.setLength(text.length() - end.length());
        }
        Path file = Files.writeString(directory.resolve("counts.tsv"), text);
        assertArrayEquals(counts, CountsFile.read(file, counts.length));
    }

    /** The 16-bit types widen to binary32 as the JDK and the bit pattern say: every number there is. */
    @Test
    void halfPrecisionIsReadExactly() {
        int all = 1 << Short.SIZE;
        ByteBuffer bytes = ByteBuffer.allocate(2 * all).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < all; i++) {
            bytes.putShort((short) i);
        }
        long[] shape = {all};
        MemorySegment data = MemorySegment.ofArray(bytes.array());
        float[] halves = new Tensor("h", DType.F16, shape, data).floats();
        float[] brains = new Tensor("b", DType.BF16, shape, data).floats();
        for (int i = 0; i < all; i++) {
            assertEquals(Float.float16ToFloat((short) i), halves[i]);
            assertEquals(Float.intBitsToFloat(i << 16), brains[i]);
        }
    }
}
