package io.groupreduce.format;

import static io.groupreduce.format.CompressedFixture.NAME;
import static io.groupreduce.format.FormatFixtures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.packed.PackedFixture;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Packed matrices through a file, and files of them whose parts do not fit each other. */
class PackedLayoutTest {
    private static final int ROWS = 2060;
    private static final int COLUMNS = 9;

    /** Where the lengths of blocks begin: after 5 directions, 3 groups and 24 tables of 16 symbols. */
    private static final int LENGTHS = 5 + 3 * 3 + 24 * 16;

    @TempDir
    private Path directory;

    private CompressedFixture fixture;

    @BeforeEach
    void valid() {
        fixture = CompressedFixture.of(directory, matrix());
    }

    private static CompressedMatrix matrix() {
        float[] bias = new float[ROWS];
        Arrays.fill(bias, 0.5f);
        return PackedFixture.of(1, ROWS, COLUMNS, 5, 0, 3).matrix(NAME).withBias(bias);
    }

    private CompressedFile open() {
        return CompressedFile.open(fixture.write(directory.resolve("crafted.safetensors")));
    }

    private void assertDamaged(Object... parts) {
        assertFails(MalformedFileException.class, () -> open().close(), parts);
    }

    private void put(String suffix, int at, int... values) {
        byte[] bytes = fixture.bytes(suffix);
        for (int v = 0; v < values.length; v++) {
            bytes[at + v] = (byte) values[v];
        }
        fixture.putPart(suffix, DType.U8, bytes, bytes.length);
    }

    @Test
    void whatIsPackedIsReadBackAndCountedAsItLies() {
        CompressedMatrix matrix = matrix();
        float[] expected = new float[ROWS * COLUMNS];
        matrix.decodeRows(0, ROWS, expected, 0);
        try (CompressedFile file = open()) {
            CompressedMatrix read = file.require(NAME);
            float[] decoded = new float[ROWS * COLUMNS];
            read.decodeRows(0, ROWS, decoded, 0);
            assertArrayEquals(expected, decoded);
            assertArrayEquals(matrix.bias(), read.bias());
            assertEquals(matrix.groups(), read.groups());
            assertEquals(-1, matrix.packed().rows().mismatch(read.packed().rows()));
            assertEquals(-1, matrix.packed().right().mismatch(read.packed().right()));
            long parts = fixture.bytes("rows").length + fixture.bytes("right").length + 2 * ROWS;
            assertEquals(parts, read.bytes() - read.headerBytes());
            assertEquals(parts, matrix.bytes() - matrix.headerBytes());
            assertTrue(read.headerBytes() <= matrix.headerBytes());
            assertEquals(matrix.residentBytes(), read.residentBytes());
            assertTrue(read.residentBytes() > read.bytes());
            assertNull(fixture.part("codes"));
        }
    }

    @Test
    void theFixtureIsWhatItsTestsTakeItFor() {
        assertTrue(
                fixture.metadata.contains("\"groups\":\"8x5,zero,8x3\",\"right\":\"5:8x9/bf16\",\"packed\":true"),
                fixture.metadata);
        assertEquals(LENGTHS + 8, fixture.bytes("rows").length - blockBytes());
    }

    private int blockBytes() {
        ByteBuffer lengths = ByteBuffer.wrap(fixture.bytes("rows")).order(ByteOrder.LITTLE_ENDIAN);
        return lengths.getInt(LENGTHS) + lengths.getInt(LENGTHS + 4);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"8x5, | \"7x5, | something else than codes of 8 bits",
                "\"8x5, | \"16x5, | something else than codes of 8 bits",
                "\"8x5, | \"8x4.1, | something else than codes of 8 bits",
                "\"8x5,zero,8x3\" | \"8x5,zero,dense:8x9\" | something else than codes of 8 bits",
                "\"8x5, | \"8x5/bf16, | described with other bits or scales",
                "\"8x5, | \"8x5/f32, | described with other bits or scales",
                "5:8x9/bf16 | 5:8x9 | described with other bits or scales",
                "5:8x9/bf16 | 5:8x9/f32 | described with other bits or scales",
                "5:8x9/bf16 | 5:4x9/bf16 | described with other bits or scales",
                "5:8x9/bf16 | 5:16x9 | described with other bits or scales",
                "5:8x9/bf16 | 5:8x9/bf16,3:8x9/bf16 | no group of",
                "\"8x5,zero,8x3\",\"right\":\"5:8x9/bf16\" | \"8x5,zero,1:8x3\",\"right\":\"5:8x9/bf16,5:8x9/bf16\""
                        + " | something else than codes of 8 bits",
                "5:8x9/bf16 | 4:8x9/bf16 | group 0",
                "5:8x9/bf16 | 6:8x9/bf16 | ''",
                "\"8x5,zero, | \"zero,zero, | rank 0 have step",
                "\"8x5,zero, | \"8x5,8x5, | rank 5 have step 0",
                ",8x3\" | \" | ''",
                ",8x3\" | ,8x3,zero\" | ''",
                "\"packed\":true | \"packed\":1 | 'packed'",
                "\"packed\":true | \"packed\":\"true\" | 'packed'",
                "\"packed\":true | \"packed\":null | 'packed'",
                "\"packed\":true | \"packed\":false | .groups\" is missing",
                "\"packed\":true,| '' | .groups\" is missing",
                "[2060,9] | [2059,9] | does not end where its rows do",
                "[2060,9] | [2048,9] | ''",
                "[2060,9] | [2147483639,9] | too short for their tables"
            })
    void aDescriptionThatDoesNotFitIsRefused(String what, String with, String said) {
        fixture.tensors.remove(NAME + ".bias");
        fixture.replaceMetadata(",\"bias\":true", "");
        open().close();
        fixture.replaceMetadata(what, with);
        assertDamaged(NAME, said);
    }

    @ParameterizedTest
    @ValueSource(strings = {"rows", "right"})
    void aPartThatIsMissingOrOfAnotherSizeOrTypeIsRefused(String suffix) {
        String name = NAME + "." + suffix;
        byte[] stored = fixture.bytes(suffix);
        fixture.tensors.remove(name);
        assertDamaged(name, "missing");
        for (int length : new int[] {0, 1, stored.length / 2, stored.length - 1, stored.length + 1}) {
            fixture.putPart(suffix, DType.U8, Arrays.copyOf(stored, length), length);
            assertDamaged("packed", NAME);
        }
        fixture.putPart(suffix, DType.U8, stored, 1, stored.length);
        assertDamaged(name, "U8 vector");
        fixture.putPart(suffix, DType.I8, stored, stored.length);
        assertDamaged(name, "U8 vector");
        fixture.putPart(suffix, DType.U8, stored, stored.length);
        open().close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"groups", "codes", "scales"})
    void whatAnUnpackedMatrixHasIsLeftOver(String suffix) {
        fixture.putPart(suffix, DType.U8, new byte[ROWS], ROWS);
        assertDamaged(NAME + "." + suffix, "no part");
    }

    @ParameterizedTest
    @ValueSource(ints = {0x7fc0, 0x7f80, 0xff80})
    void aStepMustBeFinite(int bits) {
        put("right", 4, bits, bits >> 8);
        assertDamaged(NAME + ".right", "NaN or infinity in row 2");
    }

    @ParameterizedTest
    @ValueSource(ints = {0xbf80, 0x8000})
    void aStepMayNotBeNegative(int bits) {
        put("right", 4, bits, bits >> 8);
        assertDamaged(NAME + ".right", "minus sign in row 2");
    }

    @Test
    void aStepThatMakesInfinityOfACodeIsRefused() {
        put("right", 0, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f);
        assertDamaged("right factor 0 of", NAME, "NaN or infinity");
    }

    /** What the coder refuses comes with the names of file and matrix. */
    @Test
    void tablesAndBlocksThatNoWriterMakesAreRefused() {
        put("rows", 5, 0);
        assertDamaged(NAME, "rank 5 have step 0");
        valid();
        put("rows", 11, 224, 224);
        assertDamaged(NAME, "more than all parts");
        valid();
        put("rows", LENGTHS, -1, -1, -1, -1);
        assertDamaged(NAME, "a block of -1 bytes");
        valid();
        put("rows", LENGTHS + 8, 0, 0, 0, 0);
        assertDamaged(NAME, "begins with the state 0");
        valid();
        put("right", 15, 0, 0, 0, 255);
        assertDamaged(NAME, "begins with the state 4278190080");
    }

    @Test
    void moreNumbersThanItsBytesMayHoldAreRefused() {
        fixture.tensors.remove(NAME + ".bias");
        fixture.replaceMetadata(",\"bias\":true", "");
        fixture.replaceMetadata("[2060,9]", "[2060,46340]");
        fixture.replaceMetadata("\"right\":\"5:8x9/bf16\"", "\"right\":\"40000:8x46340/bf16\"");
        byte[] rows = fixture.bytes("rows");
        byte[] wider = new byte[rows.length + 40_000 - 5];
        System.arraycopy(rows, 0, wider, 0, 5);
        System.arraycopy(rows, 5, wider, 40_000, rows.length - 5);
        fixture.putPart("rows", DType.U8, wider, wider.length);
        fixture.putPart("right", DType.U8, new byte[120_004], 120_004);
        assertDamaged(NAME, "1853600000 numbers are packed into 120004 bytes");
    }
}
