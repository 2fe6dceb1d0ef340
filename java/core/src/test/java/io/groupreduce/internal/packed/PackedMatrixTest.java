package io.groupreduce.internal.packed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.PackedParts;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What was packed comes back bit for bit; what was not is refused, whatever it is. */
class PackedMatrixTest {
    private static final int FUZZ = 1000;

    private static PackedMatrix unpacked(PackedFixture fixture, PackedParts parts, Arena arena) {
        return PackedMatrix.unpack(
                parts, fixture.groupOf().length, fixture.columns(), fixture.plans(), fixture.rank(), arena);
    }

    private static byte[] rows(PackedFixture fixture) {
        return fixture.parts().rows().toArray(ValueLayout.JAVA_BYTE);
    }

    private static byte[] right(PackedFixture fixture) {
        return fixture.parts().right().toArray(ValueLayout.JAVA_BYTE);
    }

    private static PackedParts parts(byte[] rows, byte[] right) {
        return new PackedParts(MemorySegment.ofArray(rows), MemorySegment.ofArray(right));
    }

    private static void assertSame(EncodedMatrix expected, EncodedMatrix found) {
        if (expected == null) {
            assertNull(found);
            return;
        }
        assertEquals(expected.rows(), found.rows());
        assertEquals(expected.profile(), found.profile());
        assertEquals(expected.scaleFormat(), found.scaleFormat());
        assertEquals(-1, expected.data().mismatch(found.data()));
        assertEquals(-1, expected.scales().mismatch(found.scales()));
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 1",
        "1, 7, 0",
        "1, 1, 3 0 2",
        "300, 1, 1 0",
        "2047, 3, 2",
        "2048, 3, 0 5",
        "2049, 3, 0",
        "5000, 17, 9 0 33 33 1",
        "40, 300, 250 100"
    })
    void codesAndStepsComeBack(int rows, int columns, String ranks) {
        int[] all = Arrays.stream(ranks.split(" ")).mapToInt(Integer::parseInt).toArray();
        for (long seed = 0; seed < 4; seed++) {
            PackedFixture fixture = PackedFixture.of(seed, rows, columns, all);
            CompressedMatrix expected = fixture.matrix("packed");
            PackedMatrix found = unpacked(fixture, fixture.parts(), Arena.ofAuto());
            assertArrayEquals(fixture.groupOf(), found.groupOf());
            for (int g = 0; g < all.length; g++) {
                assertSame(expected.left(g), found.left().get(g));
            }
            assertEquals(expected.bases(), found.right().size());
            for (int b = 0; b < expected.bases(); b++) {
                assertSame(expected.right(b), found.right().get(b));
            }
            // What a compression keeps is what a file gives.
            List<EncodedMatrix> kept =
                    fixture.packing().left(fixture.groupOf(), b -> joined(fixture.codes(), b), Arena.ofAuto());
            for (int g = 0; g < all.length; g++) {
                assertSame(expected.left(g), kept.get(g));
            }
        }
    }

    private static byte[] joined(byte[][] codes, int block) {
        int first = block * PackedRows.BLOCK;
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] row : Arrays.copyOfRange(codes, first, Math.min(codes.length, first + PackedRows.BLOCK))) {
            all.writeBytes(row);
        }
        return all.toByteArray();
    }

    @Test
    void as255GroupsDo() {
        int[] ranks = new int[GroupPlan.MAX_GROUPS];
        Arrays.setAll(ranks, g -> g % 7);
        PackedFixture fixture = PackedFixture.of(1, 6000, 4, ranks);
        PackedMatrix found = unpacked(fixture, fixture.parts(), Arena.ofAuto());
        assertArrayEquals(fixture.groupOf(), found.groupOf());
        assertSame(fixture.matrix("packed").left(250), found.left().get(250));
    }

    private static String refused(PackedFixture fixture, byte[] rows, byte[] right) {
        String said = assertThrows(
                        IllegalArgumentException.class, () -> unpacked(fixture, parts(rows, right), Arena.ofAuto()))
                .getMessage();
        assertTrue(said.matches("[a-z].*[a-z0-9]"), () -> "no sentence without its end: " + said);
        return said;
    }

    private static byte[] with(byte[] bytes, int at, int... values) {
        byte[] changed = bytes.clone();
        for (int v = 0; v < values.length; v++) {
            changed[at + v] = (byte) values[v];
        }
        return changed;
    }

    @Test
    void partsThatAreNotAsTheyShouldBeAreRefused() {
        PackedFixture fixture = PackedFixture.of(2, 2100, 6, 5, 0, 3);
        byte[] rows = rows(fixture);
        byte[] right = right(fixture);
        int lengths = 5 + 3 * 3 + 24 * 16;
        String[][] cases = {
            {refused(fixture, Arrays.copyOf(rows, lengths + 7), right), "too short for their tables"},
            {refused(fixture, new byte[0], right), "too short for their tables"},
            {refused(fixture, Arrays.copyOf(rows, rows.length - 1), right), "a block of"},
            {refused(fixture, Arrays.copyOf(rows, rows.length + 1), right), "left over"},
            {refused(fixture, with(rows, lengths, 3, 0, 0, 0), right), "a block of 3 bytes"},
            {refused(fixture, with(rows, lengths, -1, -1, -1, -1), right), "a block of -1 bytes"},
            {refused(fixture, with(rows, lengths, -1, -1, -1, 127), right), "a block of 2147483647 bytes"},
            {refused(fixture, with(rows, lengths + 8, 0, 0, 0, 0), right), "begins with the state 0"},
            {refused(fixture, with(rows, 5, 0), right), "rank 5 have step 0"},
            {refused(fixture, with(rows, 6, 1), right), "rank 0 have step 1"},
            {refused(fixture, with(rows, 11, 225), right), "2^(225 / 16)"},
            {refused(fixture, with(rows, 11, 224, 224, 224), right), "more than all parts"},
            {refused(fixture, with(rows, 14, 224, 224), right), "more than all parts"},
            {refused(fixture, with(rows, rows.length - 1, rows[rows.length - 1] ^ 1), right), "does not end where"},
            {refused(fixture, rows, new byte[0]), "too short for 5 directions"},
            {refused(fixture, rows, Arrays.copyOf(right, 18)), "too short for 5 directions"},
            {refused(fixture, rows, Arrays.copyOf(right, right.length - 1)), "does not end where its 5"},
            {refused(fixture, rows, Arrays.copyOf(right, right.length + 1)), "does not end where its 5"},
            {refused(fixture, rows, with(right, 18, 0x7f)), ""}
        };
        for (String[] each : cases) {
            assertTrue(each[0].contains(each[1]), each[0] + " does not say: " + each[1]);
        }
    }

    @Test
    void groupsThatAreNoPackedOnesAreRefused() {
        PackedFixture fixture = PackedFixture.of(2, 20, 6, 6);
        for (GroupPlan plan : List.of(
                GroupPlan.of(0, 6, Codec.INT4),
                GroupPlan.of(0, 6, Codec.F32),
                GroupPlan.of(1, 6, Codec.INT8),
                GroupPlan.dense(6, Codec.INT8))) {
            IllegalArgumentException refused = assertThrows(
                    IllegalArgumentException.class,
                    () -> PackedMatrix.unpack(fixture.parts(), 20, 6, List.of(plan), 6, Arena.ofAuto()));
            assertTrue(refused.getMessage().contains("codes of 8 bits"), refused.getMessage());
        }
    }

    /** Another shape than that of the bytes. */
    @ParameterizedTest
    @CsvSource({"2099, 6, 5", "2101, 6, 5", "2048, 6, 5", "2100, 5, 5", "2100, 7, 5", "2100, 6, 4", "2100, 6, 6"})
    void anotherShapeIsRefused(int rows, int columns, int rank) {
        PackedFixture fixture = PackedFixture.of(2, 2100, 6, 5);
        List<GroupPlan> plans = List.of(GroupPlan.of(0, rank, Codec.INT8));
        assertThrows(
                IllegalArgumentException.class,
                () -> PackedMatrix.unpack(fixture.parts(), rows, columns, plans, rank, Arena.ofAuto()));
    }

    /** Rows that take next to nothing: 20 blocks of 2048 rows of 1000 zeros in some thousand bytes. */
    @Test
    void aSmallFileTakesLittleMemory() {
        double[][] seen = new double[CoordinateModel.CLASSES][CoordinateModel.TOKENS];
        for (double[] table : seen) {
            table[0] = 1;
        }
        PackedRows packing = new PackedRows(
                new int[1000],
                new int[] {1},
                new byte[1],
                new int[] {1000},
                SymbolTable.of(new double[] {1}),
                CoordinateModel.of(seen));
        byte[][] codes = new byte[PackedRows.BLOCK][1000];
        byte[] block =
                PackedFixture.blocks(packing, new byte[PackedRows.BLOCK], codes).getFirst();
        assertTrue(block.length < 400, block.length + " bytes");
        for (int blocks : new int[] {2, 20}) {
            MemorySegment packed = MemorySegment.ofArray(packing.join(Collections.nCopies(blocks, block)));
            int rows = blocks * PackedRows.BLOCK;
            if (blocks == 2) {
                assertEquals(
                        rows,
                        PackedRows.unpack(packed, rows, 1000, packing.ranks(), Arena.ofAuto())
                                .left()
                                .getFirst()
                                .rows());
            } else {
                IllegalArgumentException refused = assertThrows(
                        IllegalArgumentException.class,
                        () -> PackedRows.unpack(packed, rows, 1000, packing.ranks(), Arena.ofAuto()));
                assertTrue(refused.getMessage().contains("18432000 numbers are packed into"), refused.getMessage());
            }
        }
        int widest = CompressedMatrix.MAX_COLUMNS;
        IllegalArgumentException refused = assertThrows(
                IllegalArgumentException.class,
                () -> PackedRight.unpack(
                        MemorySegment.ofArray(new byte[4 * widest]), widest, widest, packing.model(), Arena.ofAuto()));
        assertTrue(refused.getMessage().contains("2147395600 numbers"), refused.getMessage());
        MemorySegment few = MemorySegment.ofArray(new byte[4_000_000]);
        assertThrows(
                IllegalArgumentException.class,
                () -> PackedRows.unpack(few, CompressedMatrix.MAX_ROWS, 1000, packing.ranks(), Arena.ofAuto()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"5 0 3", "1", "0", "60 20 60 0"})
    void damagedPartsAreRefusedOrOfTheRightShape(String ranks) {
        int[] all = Arrays.stream(ranks.split(" ")).mapToInt(Integer::parseInt).toArray();
        int rows = all.length > 3 ? 30 : 2060;
        PackedFixture fixture = PackedFixture.of(6, rows, 11, all);
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        int refused = 0;
        for (int round = 0; round < FUZZ; round++) {
            byte[] left = rows(fixture);
            byte[] right = right(fixture);
            if (random.nextBoolean()) {
                left = damaged(random, left, fixture.rank() + 3 * all.length + 24 * 16 + 8);
            } else {
                right = damaged(random, right, 3 * fixture.rank() + 4);
            }
            PackedParts parts = parts(left, right);
            String what = "seed " + seed + ", round " + round;
            refused += assertTimeoutPreemptively(Duration.ofSeconds(20), () -> isRefused(fixture, parts, what), what)
                    ? 1
                    : 0;
        }
        assertTrue(refused > FUZZ / 4, "seed " + seed + ": " + refused + " of " + FUZZ + " were refused");
    }

    /** Some bytes are others, mostly of the tables before {@code head}; or some at the end are missing, or more. */
    private static byte[] damaged(Random random, byte[] bytes, int head) {
        switch (random.nextInt(6)) {
            case 0:
                return Arrays.copyOf(bytes, random.nextInt(bytes.length));
            case 1:
                return Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(9));
            default:
                int most = random.nextBoolean() ? Math.min(head, bytes.length) : bytes.length;
                for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
                    int at = random.nextInt(most);
                    bytes[at] = (byte) (random.nextBoolean() ? random.nextInt() : bytes[at] ^ 1 << random.nextInt(8));
                }
                return bytes;
        }
    }

    private static boolean isRefused(PackedFixture fixture, PackedParts parts, String what) {
        PackedMatrix matrix;
        try (Arena arena = Arena.ofConfined()) {
            matrix = unpacked(fixture, parts, arena);
        } catch (IllegalArgumentException e) {
            return true;
        } catch (RuntimeException e) {
            throw new AssertionError(what, e);
        }
        long[] sizes = new long[fixture.plans().size()];
        for (byte g : matrix.groupOf()) {
            sizes[g]++;
        }
        assertEquals(fixture.groupOf().length, matrix.groupOf().length, what);
        for (int g = 0; g < sizes.length; g++) {
            EncodedMatrix left = matrix.left().get(g);
            assertTrue(
                    left == null
                            || left.rows() == sizes[g]
                                    && left.width() == fixture.packing().ranks()[g],
                    what);
        }
        assertEquals(fixture.rank() == 0 ? 0 : 1, matrix.right().size(), what);
        assertTrue(matrix.right().stream().allMatch(r -> r.rows() == fixture.rank() && r.width() == 11), what);
        return false;
    }
}
