package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static io.groupreduce.format.FormatFixtures.i64;
import static io.groupreduce.format.FormatFixtures.names;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
    private static final byte[] EARLIER = "what stood here before".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path directory;

    private static List<Tensor> sample() {
        return List.of(f32("b", new long[] {1, 2}, 3f, 4f), i64("a", 5, 6, 7));
    }

    @Test
    void takesNoNameOfAnotherFormat() {
        for (String name : List.of("m.onnx", "m.GGUF", "m.npy", "a.b.bin", ".onnx")) {
            Path file = directory.resolve(name);
            InvalidOptionException failure =
                    assertThrows(InvalidOptionException.class, () -> SafetensorsWriter.write(file, sample(), Map.of()));
            assertTrue(failure.getMessage().startsWith(file + " would be a safetensors file"), failure.getMessage());
            assertFalse(Files.exists(file));
        }
        for (String name : List.of("onnx", "m", "m.onnx.safetensors", "m.model")) {
            SafetensorsWriter.write(directory.resolve(name), sample(), Map.of());
        }
    }

    @Test
    void alignsTheDataAndKeepsTheOrder() throws IOException {
        for (int extra = 0; extra < 9; extra++) {
            Path file = directory.resolve("m.safetensors");
            SafetensorsWriter.write(file, sample(), Map.of("k", "v".repeat(extra)));
            ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            long header = bytes.getLong();
            assertEquals(0, (8 + header) % 8);
            assertEquals(8 + header + 8 + 24, bytes.capacity());
            assertEquals(3f, bytes.getFloat((int) (8 + header)));
            try (Safetensors read = Safetensors.open(file)) {
                assertEquals(List.of("b", "a"), List.copyOf(read.tensors().keySet()));
                assertArrayEquals(new int[] {5, 6, 7}, read.require("a").ints());
            }
        }
        assertEquals(List.of("m.safetensors"), names(directory));
    }

    @Test
    void equalMetadataGivesEqualBytesWhateverItsOrder() throws IOException {
        Map<String, String> forward = new LinkedHashMap<>();
        Map<String, String> backward = new LinkedHashMap<>();
        for (int i = 0; i < 9; i++) {
            forward.put("key" + i, "value");
            backward.put("key" + (8 - i), "value");
        }
        Path a = directory.resolve("a");
        Path b = directory.resolve("b");
        SafetensorsWriter.write(a, sample(), forward);
        SafetensorsWriter.write(b, sample(), backward);
        assertEquals(-1, Files.mismatch(a, b));
    }

    @Test
    void writesHeapNativeAndMappedDataAlike() {
        byte[] values = new byte[3_000_001];
        new Random(7).nextBytes(values);
        long[] shape = {values.length};
        Path first = directory.resolve("first.safetensors");
        Path second = directory.resolve("second.safetensors");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offHeap = arena.allocate(values.length).copyFrom(MemorySegment.ofArray(values));
            SafetensorsWriter.write(
                    first,
                    List.of(
                            new Tensor("heap", DType.U8, shape, MemorySegment.ofArray(values)),
                            new Tensor("native", DType.I8, shape, offHeap)),
                    Map.of());
        }
        try (Safetensors a = Safetensors.open(first)) {
            SafetensorsWriter.write(second, List.copyOf(a.tensors().values()), Map.of("copied", "yes"));
            try (Safetensors b = Safetensors.open(second)) {
                for (String name : List.of("heap", "native")) {
                    assertEquals(-1, b.require(name).data().mismatch(MemorySegment.ofArray(values)));
                }
                assertEquals(DType.I8, b.require("native").type());
            }
        }
    }

    @Test
    void replacesTheFileItReadsFrom() {
        Path file = directory.resolve("m.safetensors");
        SafetensorsWriter.write(file, sample(), Map.of());
        try (Safetensors read = Safetensors.open(file)) {
            SafetensorsWriter.write(file, List.of(read.require("a")), Map.of());
            assertArrayEquals(new int[] {5, 6, 7}, read.require("a").ints());
        }
        try (Safetensors read = Safetensors.open(file)) {
            assertEquals(1, read.tensors().size());
        }
    }

    @Test
    void refusesNamesTheFormatCannotHold() {
        Path file = directory.resolve("m.safetensors");
        Tensor tensor = i64("twice", 1);
        assertFails(
                InvalidDataException.class,
                () -> SafetensorsWriter.write(file, List.of(tensor, tensor), Map.of()),
                file,
                "\"twice\"");
        assertFails(
                InvalidDataException.class,
                () -> SafetensorsWriter.write(file, List.of(i64("__metadata__", 1)), Map.of()),
                "reserves");
        assertFails(
                InvalidDataException.class,
                () -> SafetensorsWriter.write(file, List.of(i64("\ud800", 1)), Map.of()),
                "surrogate");
        assertEquals(List.of(), names(directory));
    }

    /** A channel that takes some bytes and then fails, as a file does when the disk fills up. */
    private static UnaryOperator<WritableByteChannel> failingAfter(int bytes, String message) {
        return file -> new WritableByteChannel() {
            private int left = bytes;

            @Override
            public int write(ByteBuffer source) throws IOException {
                if (left == 0) {
                    throw new IOException(message);
                }
                ByteBuffer part = source.slice(source.position(), Math.min(left, source.remaining()));
                int n = file.write(part);
                source.position(source.position() + n);
                left -= n;
                return n;
            }

            @Override
            public boolean isOpen() {
                return file.isOpen();
            }

            @Override
            public void close() throws IOException {
                file.close();
            }
        };
    }

    /** The bytes of the file that {@link #sample()} makes. */
    private long sampleBytes() throws IOException {
        Path file = directory.resolve("size");
        SafetensorsWriter.write(file, sample(), Map.of());
        long size = Files.size(file);
        Files.delete(file);
        return size;
    }

    private void assertEarlierIsUntouched(Path target) throws IOException {
        assertArrayEquals(EARLIER, Files.readAllBytes(target));
        assertEquals(List.of(target.getFileName().toString()), names(directory));
    }

    @Test
    void aFailureAtAnyByteLeavesTheEarlierFile() throws IOException {
        Path target = write(directory, "m.safetensors", EARLIER);
        long size = sampleBytes();
        for (int after = 0; after < size; after += 5) {
            UnaryOperator<WritableByteChannel> wiring = failingAfter(after, "No space left on device");
            assertFails(
                    FileAccessException.class,
                    () -> SafetensorsWriter.write(target, sample(), Map.of(), wiring),
                    target,
                    "the disk is full; " + size + " bytes are needed");
            assertEarlierIsUntouched(target);
        }
        SafetensorsWriter.write(target, sample(), Map.of(), failingAfter((int) size, "No space left on device"));
        assertEquals(size, Files.size(target));
    }

    @Test
    void otherFailuresAreNamed() throws IOException {
        Path target = write(directory, "m.safetensors", EARLIER);
        assertFails(
                FileAccessException.class,
                () -> SafetensorsWriter.write(target, sample(), Map.of(), failingAfter(9, "Input/output\nerror")),
                target,
                "Input/output\\u000aerror");
        assertEarlierIsUntouched(target);
    }

    /** The words of a full disk come from the system itself here. */
    @Test
    void aFullDeviceIsAFullDisk() throws IOException {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.exists(full), "no /dev/full on this system");
        Path target = write(directory, "m.safetensors", EARLIER);
        try (FileChannel device = FileChannel.open(full, StandardOpenOption.WRITE)) {
            assertFails(
                    FileAccessException.class,
                    () -> SafetensorsWriter.write(target, sample(), Map.of(), file -> device),
                    target,
                    "the disk is full",
                    sampleBytes() + " bytes");
        }
        assertEarlierIsUntouched(target);
    }

    /** What a broken disk or a second writer would do: the data on the file differs from what was sent. */
    @Test
    void verificationCatchesWhatReadsBackOtherwise() throws IOException {
        Path target = write(directory, "m.safetensors", EARLIER);
        long size = sampleBytes();
        for (int damaged = 0; damaged < size; damaged += 1 + damaged % 3) {
            int at = damaged;
            assertFails(
                    FileAccessException.class,
                    () -> SafetensorsWriter.write(target, sample(), Map.of(), file -> new Damaging(file, at)),
                    target,
                    "reads back otherwise");
            assertEarlierIsUntouched(target);
        }
    }

    /** Flips the lowest bit of one byte on its way to the file. */
    private static final class Damaging implements WritableByteChannel {
        private final WritableByteChannel file;
        private final int at;
        private int position;

        Damaging(WritableByteChannel file, int at) {
            this.file = file;
            this.at = at;
        }

        @Override
        public int write(ByteBuffer source) throws IOException {
            byte[] bytes = new byte[source.remaining()];
            source.get(bytes);
            if (at >= position && at < position + bytes.length) {
                bytes[at - position] ^= 1;
            }
            position += bytes.length;
            return file.write(ByteBuffer.wrap(bytes));
        }

        @Override
        public boolean isOpen() {
            return file.isOpen();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    @Test
    void anInterruptedThreadLeavesTheEarlierFile() throws IOException {
        Path target = write(directory, "m.safetensors", EARLIER);
        Thread.currentThread().interrupt();
        try {
            assertFails(
                    FileAccessException.class,
                    () -> SafetensorsWriter.write(target, sample(), Map.of()),
                    target,
                    "interrupted");
        } finally {
            assertTrue(Thread.interrupted());
        }
        assertEarlierIsUntouched(target);
    }

    @Test
    void aFailureThatIsNotOfTheFileSystemLeavesNothingEither() throws IOException {
        Path target = write(directory, "m.safetensors", EARLIER);
        assertThrows(
                UncheckedIOException.class,
                () -> AtomicFile.write(target, channel -> {
                    channel.write(ByteBuffer.wrap(new byte[5]));
                    throw new UncheckedIOException(new IOException("from the content"));
                }));
        assertEarlierIsUntouched(target);
    }

    @Test
    void targetsThatCannotBeWritten() {
        Path nowhere = directory.resolve("missing").resolve("m.safetensors");
        assertFails(
                FileAccessException.class,
                () -> SafetensorsWriter.write(nowhere, sample(), Map.of()),
                nowhere,
                "directory does not exist");
        assertFails(FileAccessException.class, () -> AtomicFile.writeText(directory, "x"), directory, "is a directory");
        Path device = Path.of("/dev/null");
        if (Files.exists(device)) {
            assertFails(FileAccessException.class, () -> AtomicFile.writeText(device, "x"), "not a regular file");
        }
    }

    @Test
    void writesTextUnderNamesOfAnyLength() throws IOException {
        Path target = directory.resolve("r".repeat(240) + ".html");
        AtomicFile.writeText(target, "größer");
        AtomicFile.writeText(target, "kleiner ≤");
        assertEquals("kleiner ≤", Files.readString(target));
        assertEquals(1, names(directory).size());
    }
}
