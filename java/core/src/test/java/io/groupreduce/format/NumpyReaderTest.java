package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

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
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The reader of docs/format.md, as it stands there, against this software's own: all numbers bit for bit. */
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

    private static String reader() throws IOException {
        String page = Files.readString(Path.of("../../docs/format.md"));
        int begin = page.indexOf("```python\n") + "```python\n".length();
        return page.substring(begin, page.indexOf("```", begin));
    }

    @Test
    void theReaderIsShort() throws IOException {
        assertTrue(reader().lines().count() <= 60, reader().lines().count() + " lines");
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
        Files.writeString(directory.resolve("reader.py"), reader());
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
