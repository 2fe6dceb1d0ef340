package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.internal.packed.PackedFixture;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The readers of docs/format.md, as they stand there, against this software's own: all numbers bit for bit. */
class NumpyReaderTest {
    private static final int ROWS = 90;
    private static final int COLUMNS = 45;

    /** Writes what the reader makes of each part: groups in order, then right factors. */
    private static final String PARTS = """
            import sys, numpy as np
            import reader

            class Listening(reader.File):
                parts = []
                def decode(self, *about):
                    self.parts.append(super().decode(*about).astype("<f4"))
                    return self.parts[-1]

            file = Listening(sys.argv[1])
            for name in file.document["tensors"]:
                np.save(name + ".npy", file.matrix(name))
            np.concatenate([part.ravel() for part in file.parts]).tofile("parts")
            """;

    /** Writes what the reader makes of each packed matrix: groups, numbers of rows in order, then of the right factor. */
    private static final String PACKED = """
            import sys, numpy as np
            import packed

            class Listening(packed.PackedFile):
                parts = []
                def unpack(self, name):
                    group_of, left, right = super().unpack(name)
                    self.parts += [np.array(group_of), *left, right.ravel()]
                    return group_of, left, right

            file = Listening(sys.argv[1])
            for name in file.document["tensors"]:
                np.save(name + ".npy", file.matrix(name))
            np.concatenate(file.parts).astype("<f4").tofile("parts")
            """;

    @TempDir
    private Path directory;

    @BeforeAll
    static void numpyIsThere() throws Exception {
        String reason = "python3 with numpy is not there, so the reader of docs/format.md was not tried";
        try {
            assumeTrue(run(Path.of("."), "-c", "import numpy").isEmpty(), reason);
        } catch (IOException e) {
            assumeTrue(false, reason);
        }
    }

    /** What it printed; empty where all went well. */
    private static String run(Path directory, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("python3"));
        command.addAll(List.of(arguments));
        Path printed = Files.createTempFile("python", ".txt");
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(printed.toFile())
                .start();
        boolean ended = process.waitFor(60, TimeUnit.SECONDS);
        String text = Files.readString(printed);
        Files.delete(printed);
        return ended && process.exitValue() == 0 ? text : text + " failed";
    }

    /** A listing of docs/format.md: 0 for the reader, 1 for the one of packed matrices. */
    private static String reader(int listing) throws IOException {
        String page = Files.readString(Path.of("../../docs/format.md"));
        String begun = page.split("```python\n")[1 + listing];
        return begun.substring(0, begun.indexOf("```"));
    }

    @Test
    void theReadersAreShort() throws IOException {
        for (int listing = 0; listing < 2; listing++) {
            long lines = reader(listing).lines().count();
            assertTrue(lines <= 80, lines + " lines");
        }
    }

    @Test
    void everyNumberIsThatOfThisSoftware() throws Exception {
        CompressedMatrix plain = matrix(7);
        CompressedMatrix fixture = CompressedFixture.matrix();
        Path file = directory.resolve("model.safetensors");
        CompressedFile.write(
                file,
                List.of(new CompressedEntry(plain, Map.of()), new CompressedEntry(fixture, Map.of())),
                List.of(FormatFixtures.i32("other", 1, 2, 3)),
                Map.of("format", "pt"),
                Map.of());
        Files.writeString(directory.resolve("reader.py"), reader(0));
        Files.writeString(directory.resolve("parts.py"), PARTS);
        assertEquals("", run(directory, "parts.py", file.toString()));

        MemorySegment found = MemorySegment.ofArray(Files.readAllBytes(directory.resolve("parts")));
        long at = 0;
        for (CompressedMatrix matrix : List.of(plain, fixture)) {
            for (EncodedMatrix part : matrix.parts().toList()) {
                float[] row = new float[part.width()];
                for (long r = 0; r < part.rows(); r++) {
                    part.decodeRow(r, row, 0);
                    for (int j = 0; j < row.length; j++) {
                        String what = matrix.name() + ", " + part.profile() + ", row " + r + ", number " + j;
                        float read = found.get(LittleEndian.F32, 4 * at++);
                        // Bit for bit, but for the sign of a zero: 0 times a scale.
                        assertTrue(row[j] == read, () -> what + ": " + read);
                    }
                }
            }
            assertProduct(matrix);
        }
        assertEquals(found.byteSize(), 4 * at);
    }

    /** Shifts and escapes, several blocks, no rows but zeros, one row, one column, 255 groups; an unpacked matrix beside them. */
    @Test
    void everyPackedNumberIsThatOfThisSoftware() throws Exception {
        int[] many = IntStream.range(0, GroupPlan.MAX_GROUPS).map(g -> g % 4).toArray();
        List<CompressedMatrix> matrices = List.of(
                PackedFixture.of(1, 4099, 7, 6, 0, 3, 6).matrix("several"),
                PackedFixture.of(2, 50, 130, 90, 120).matrix("long"),
                PackedFixture.of(3, 1, 9, 5).matrix("row"),
                PackedFixture.of(4, 2049, 1, 0, 1).matrix("column"),
                PackedFixture.of(5, 1, 1, 1).matrix("number"),
                PackedFixture.of(6, 2048, 3, 0).matrix("zeros"),
                PackedFixture.of(7, 500, 4, many).matrix("groups"),
                compressed("compressed", 2200, 40, 12));
        Path file = directory.resolve("model.safetensors");
        List<CompressedEntry> entries = Stream.concat(matrices.stream(), Stream.of(matrix(7)))
                .map(matrix -> new CompressedEntry(matrix, Map.of()))
                .toList();
        CompressedFile.write(file, entries, List.of(), Map.of(), Map.of());
        Files.writeString(directory.resolve("reader.py"), reader(0));
        Files.writeString(directory.resolve("packed.py"), reader(1));
        Files.writeString(directory.resolve("parts.py"), PACKED);
        assertEquals("", run(directory, "parts.py", file.toString()));

        float[] found = MemorySegment.ofArray(Files.readAllBytes(directory.resolve("parts")))
                .toArray(LittleEndian.F32);
        int at = 0;
        try (CompressedFile opened = CompressedFile.open(file)) {
            for (CompressedMatrix expected : matrices) {
                CompressedMatrix matrix = opened.require(expected.name());
                assertArrayEquals(expected.groupOf(), matrix.groupOf());
                assertEquals(expected.describedGroups(), matrix.describedGroups());
                for (int i = 0; i < matrix.rows(); i++) {
                    assertEquals(matrix.group(i), found[at++]);
                }
                for (int i = 0; i < matrix.rows(); i++) {
                    at = assertRow(matrix.left(matrix.group(i)), matrix.slot(i), found, at);
                }
                for (int k = 0; matrix.bases() > 0 && k < matrix.right(0).rows(); k++) {
                    at = assertRow(matrix.right(0), k, found, at);
                }
                assertProduct(matrix);
            }
        }
        assertEquals(found.length, at);
        assertProduct(matrix(7));
    }

    /** A matrix that this software packed, its last rows zeros. */
    private static CompressedMatrix compressed(String name, int rows, int columns, double ratio) {
        float[] values = SeededData.powerLaw(3, rows, columns, 0.6);
        Arrays.fill(values, (rows - rows / 20) * columns, values.length, 0);
        CompressionOptions options = CompressionOptions.defaults()
                .withTarget(SizeTarget.ratio(ratio))
                .withPacked(true);
        Matrix matrix = Matrix.of(name, values, rows, columns);
        try (ReferenceBackend backend = new ReferenceBackend()) {
            return GroupReduce.compress(backend, matrix, null, null, options, Arena.ofAuto(), Progress.NONE)
                    .matrix();
        }
    }

    private static int assertRow(EncodedMatrix part, int row, float[] found, int at) {
        float[] numbers = new float[part == null ? 0 : part.width()];
        if (part != null) {
            part.decodeRow(row, numbers, 0);
        }
        for (int j = 0; j < numbers.length; j++) {
            // Bit for bit, but for the sign of a zero.
            assertTrue(numbers[j] == found[at + j], "row " + row + ", number " + j);
        }
        return at + numbers.length;
    }

    private void assertProduct(CompressedMatrix matrix) {
        try (Model read = Model.open(directory.resolve(matrix.name() + ".npy"))) {
            Matrix product = read.compressible().get(0).matrix("reader");
            float[] expected = new float[matrix.columns()];
            float[] row = new float[matrix.columns()];
            for (int i = 0; i < matrix.rows(); i++) {
                matrix.decodeRows(i, 1, expected, 0);
                product.readRow(i, row, 0);
                for (int j = 0; j < row.length; j++) {
                    assertEquals(expected[j], row[j], 1e-4f * Math.max(1, Math.abs(expected[j])));
                }
            }
        }
    }

    /** Groups of all widths and of falling ones, with every kind of scale, on two bases, an empty group among them. */
    private static CompressedMatrix matrix(long seed) {
        Random random = new Random(seed);
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        int rank = 20;
        for (int bits : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 16, 32}) {
            plans.add(new GroupPlan(bits % 2, BitProfile.constant(bits, rank - bits / 2)));
        }
        plans.add(new GroupPlan(1, BitProfile.of(8, 8, 6, 5, 5, 5, 3, 2, 2, 1, 1, 1, 1)));
        plans.add(new GroupPlan(0, BitProfile.of(6, 6, 4, 4, 4, 4, 1, 1, 1)));
        plans.add(new GroupPlan(GroupPlan.DENSE, BitProfile.constant(5, COLUMNS)));
        plans.add(GroupPlan.zero());
        plans.add(new GroupPlan(0, BitProfile.of(3, 1)));
        int used = plans.size() - 1;
        byte[] groupOf = new byte[ROWS];
        int[] sizes = new int[plans.size()];
        for (int i = 0; i < ROWS; i++) {
            groupOf[i] = (byte) random.nextInt(used);
            sizes[groupOf[i]]++;
        }
        for (int g = 0; g < plans.size(); g++) {
            ScaleFormat scales = ScaleFormat.values()[g % 3];
            GroupPlan plan = plans.get(g);
            left.add(plan.isZero() ? null : encoded(random, plan.profile(), sizes[g], plan.block(), scales));
        }
        List<EncodedMatrix> right = List.of(
                encoded(random, BitProfile.constant(8, COLUMNS), rank, 32, ScaleFormat.BF16),
                encoded(random, BitProfile.constant(16, COLUMNS), rank, COLUMNS, ScaleFormat.BF16));
        return new CompressedMatrix("plain", COLUMNS, groupOf, plans, left, right);
    }

    private static EncodedMatrix encoded(Random random, BitProfile profile, int rows, int block, ScaleFormat scales) {
        EncodedMatrix matrix = EncodedMatrix.allocate(Arena.ofAuto(), profile, rows, block, scales);
        float[] row = new float[profile.width()];
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) random.nextGaussian();
            }
            matrix.encodeRow(r, row, 0, null);
        }
        return matrix;
    }
}
