package io.groupreduce.format;

import static io.groupreduce.format.CompressedFixture.COLUMNS;
import static io.groupreduce.format.CompressedFixture.NAME;
import static io.groupreduce.format.CompressedFixture.ROWS;
import static io.groupreduce.format.FormatFixtures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files whose safetensors framing is right and whose parts do not fit each other. */
class CompressedLayoutTest {
    @TempDir
    private Path directory;

    private CompressedFixture fixture;

    @BeforeEach
    void valid() {
        fixture = CompressedFixture.of(directory);
    }

    private CompressedFile open() {
        return CompressedFile.open(fixture.write(directory.resolve("crafted.safetensors")));
    }

    private void assertDamaged(Object... parts) {
        assertFails(MalformedFileException.class, () -> open().close(), parts);
    }

    @Test
    void theUndamagedPiecesAreTheMatrix() {
        float[] expected = new float[ROWS * COLUMNS];
        CompressedFixture.matrix().decodeRows(0, ROWS, expected, 0);
        try (CompressedFile file = open()) {
            CompressedMatrix matrix = file.require("embed.weight");
            float[] decoded = new float[ROWS * COLUMNS];
            matrix.decodeRows(0, ROWS, decoded, 0);
            assertArrayEquals(expected, decoded);
            assertArrayEquals(CompressedFixture.matrix().bias(), matrix.bias());
            assertEquals(Map.of("embed.weight", NAME), file.tied());
            assertEquals(1, file.copied().size());
        }
    }

    /** What the fixture says of its parts; one word of it is wrong, or another part of the file. */
    private static final String GROUPS =
            "8x3/bf16,1:6x2.0.2.0.0.1/bf16,16x2,dense:8x41/bf16/32,zero,dense:32x41,2:32x4,3:3x5,dense:3x41/32";

    private static final String RIGHT = "3:32x41,5:8x41/bf16,4:4x41/bf16,6:3x41";

    @Test
    void theFixtureIsWhatItsTestsTakeItFor() {
        assertTrue(
                fixture.metadata.contains("\"groups\":\"" + GROUPS + "\",\"right\":\"" + RIGHT + "\""),
                fixture.metadata);
        open().close();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "8x3/bf16,1 | 9x3/bf16,1 | '\"9x3/bf16\"'",
                "8x3/bf16,1 | 0x3/bf16,1 | '\"0x3/bf16\"'",
                "8x3/bf16,1 | 8x0/bf16,1 | '\"8x0/bf16\"'",
                "8x3/bf16,1 | 8x03/bf16,1 | '\"8x03/bf16\"'",
                "8x3/bf16,1 | 8x-3/bf16,1 | '\"8x-3/bf16\"'",
                "8x3/bf16,1 | 8x3.0/bf16,1 | '\"8x3.0/bf16\"'",
                "8x3/bf16,1 | 8x3./bf16,1 | '\"8x3./bf16\"'",
                "8x3/bf16,1 | 8x42/bf16,1 | '\"8x42/bf16\"'",
                "8x3/bf16,1 | 8x40.2/bf16,1 | '\"8x40.2/bf16\"'",
                "8x3/bf16,1 | 8x99999/bf16,1 | '\"8x99999/bf16\"'",
                "8x3/bf16,1 | 8x4294967299/bf16,1 | '\"8x4294967299/bf16\"'",
                "8x3/bf16,1 | 8x3,x3/bf16,1 | '\"x3/bf16\"'",
                "8x3/bf16,1 | 8x3/f16,1 | '\"8x3/f16\"'",
                "8x3/bf16,1 | 8x3/u8,1 | '\"8x3/u8\"'",
                "8x3/bf16,1 | 8x3/bf16/16,1 | '\"8x3/bf16/16\"'",
                "8x3/bf16,1 | 8x3/bf16/32,1 | '\"8x3/bf16/32\"'",
                "8x3/bf16,1 | 8x3/bf16/,1 | '\"8x3/bf16/\"'",
                "8x3/bf16,1 | 0:8x3/bf16,1 | '\"0:8x3/bf16\"'",
                "8x3/bf16,1 | :8x3/bf16,1 | '\":8x3/bf16\"'",
                "8x3/bf16,1 | 00:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | 8x4/bf16,1 | 'group 0'",
                "8x3/bf16,1 | 4:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | 254:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | 255:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | 999999:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | zero:8x3/bf16,1 | 'group 0'",
                "8x3/bf16,1 | -1:8x3/bf16,1 | '\"-1:8x3/bf16\"'",
                "6x2.0.2.0.0.1 | 6x2.0.2.0.0.0 | '\"1:6x2.0.2.0.0.0/bf16\"'",
                "6x2.0.2.0.0.1 | 6x2.0.2.0.0.0.1 | '\"1:6x2.0.2.0.0.0.1/bf16\"'",
                ",16x2 | ,16x1.1 | '\"16x1.1\"'",
                ",16x2 | ,16x2/bf16 | '\"16x2/bf16\"'",
                ",16x2 | ,15x2 | '\"15x2\"'",
                "zero | 8x | '\"8x\"'",
                "zero | zero/bf16 | '\"zero/bf16\"'",
                "zero | dense | '\"dense\"'",
                "zero | none | '\"none\"'",
                "zero | zero, | '\"\"'",
                "dense:32x41 | dense:32x40 | 'group 5'",
                "4:4x41/bf16 | 4:4x40/bf16 | 'basis 2'",
                "4:4x41/bf16 | 4x41/bf16 | 'basis 2'",
                "4:4x41/bf16 | zero | 'basis 2'",
                "4:4x41/bf16 | 4:2x41/bf16 | 'basis 2'",
                "4:4x41/bf16 | 4:4x40.0.1/bf16 | 'basis 2'",
                "4:4x41/bf16 | 42:4x41/bf16 | 'basis 2'",
                "4:4x41/bf16 | four:4x41/bf16 | 'basis 2'",
                "6:3x41 | 6:3x41,1:8x41 | 'uses basis 4'",
                ",6:3x41 | '' | 'group 7'",
                ",dense:3x41/32 | '' | 'names group 8 of 8'",
                "8x3/bf16,1 | 5x3/bf16,1 | '.codes\" has'",
                "8x3/bf16,1 | 32x3,1 | '.codes\" has'",
                "8x3/bf16,1 | 8x3/f32,1 | '.scales\" has'",
                "8x3/bf16,1 | 8x3,1 | '.scales\" has'",
                "5:8x41/bf16 | 6:8x41/bf16 | '.codes\" has'",
                "\"groups\" | \"group\" | groups",
                "\"groups\":\" | \"groups\":7,\"other\":\" | groups",
                "\"right\" | \"wrong\" | right",
                "\"right\":\" | \"right\":[],\"other\":\" | right"
            })
    void aDescriptionThatDoesNotFitIsRefused(String what, String with, String said) {
        fixture.replaceMetadata(what, with);
        assertDamaged(NAME, said);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"[61]", "[61,41,1]", "61", "[61,41.0]", "[\"61\",41]", "null", "[60,41]", "[62,41]", "[61,40]"})
    void aShapeThatDoesNotFitIsRefused(String shape) {
        fixture.replaceMetadata("\"shape\":[61,41]", "\"shape\":" + shape);
        assertDamaged(NAME);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1", "46341", "2147483647", "9223372036854775807", "18446744073709551657"})
    void aWidthThatNoMatrixHasIsRefusedEvenWhereNothingIsStored(String columns) {
        fixture.tensors.keySet().removeIf(t -> t.startsWith(NAME));
        fixture.putPart("groups", DType.U8, new byte[ROWS], ROWS);
        fixture.putPart("codes", DType.U8, new byte[0], 0);
        fixture.putPart("scales", DType.U8, new byte[0], 0);
        String valid = fixture.metadata;
        fixture.metadata = valid.substring(0, valid.indexOf("\"tensors\"")) + "\"tensors\":{\"" + NAME
                + "\":{\"shape\":[" + ROWS + "," + columns + "],\"groups\":\"zero\",\"right\":\"\"}}}";
        assertDamaged("shape", 46_340);
        fixture.replaceMetadata("," + columns + "]", ",3]");
        open().close();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 256, 257, 300})
    void aNumberOfGroupsThatNoByteNamesIsRefused(int groups) {
        fixture.replaceMetadata(GROUPS, String.join(",", Collections.nCopies(groups, "zero")));
        assertDamaged(NAME, groups + " groups");
    }

    @Test
    void moreBasesThanGroupsCanNameAreRefused() {
        fixture.replaceMetadata(RIGHT, String.join(",", Collections.nCopies(255, "1:8x41")));
        assertDamaged(NAME, "255 bases");
    }

    /** Eight characters can claim 46,340 numbers, so that many of them would take all memory. */
    @Test
    void descriptionsAreCountedBeforeTheyAreRead() {
        fixture.replaceMetadata(GROUPS, String.join(",", Collections.nCopies(256, "not to be read")));
        assertDamaged(NAME, "256 groups");
    }

    @Test
    void moreNumbersThanCodesHoldAreRefusedWhereNoRowHasThem() {
        fixture.putPart("codes", DType.U8, new byte[17], 17);
        assertDamaged("rows of 142 numbers", "more than", NAME + ".codes");
    }

    @ParameterizedTest
    @ValueSource(strings = {"groups", "codes", "scales"})
    void aTensorThatIsMissingOrOfAnotherSizeOrTypeIsRefused(String suffix) {
        byte[] stored = fixture.bytes(suffix);
        fixture.tensors.remove(NAME + "." + suffix);
        assertDamaged(NAME + "." + suffix, "missing");
        for (int length : new int[] {0, stored.length - 1, stored.length + 1}) {
            fixture.putPart(suffix, DType.U8, Arrays.copyOf(stored, length), length);
            assertDamaged(NAME + "." + suffix);
        }
        fixture.putPart(suffix, DType.U8, stored, 1, stored.length);
        assertDamaged(NAME + "." + suffix);
        fixture.putPart(suffix, DType.I8, stored, stored.length);
        assertDamaged(NAME + "." + suffix);
        fixture.putPart(suffix, DType.U8, stored, stored.length);
        open().close();
    }

    @ParameterizedTest
    @CsvSource({"17, 9", "0, 255"})
    void aGroupNumberBeyondTheGroupsIsRefused(int row, int group) {
        byte[] groups = fixture.bytes("groups");
        groups[row] = (byte) group;
        fixture.putPart("groups", DType.U8, groups, ROWS);
        assertDamaged(NAME + ".groups", "group " + group + " of 9");
    }

    /** Codes would mean something else. */
    @Test
    void otherValuesOfCodesAreRefused() {
        String valid = fixture.metadata;
        String first = "[[" + CodeValues.value(1, 0) + "," + CodeValues.step(1) + "],";
        String last = ",[" + CodeValues.value(8, 0) + "," + CodeValues.step(8) + "]]";
        String[][] changes = {
            {first, "[[" + CodeValues.value(1, 0) + "," + (CodeValues.step(1) + 1) + "],"},
            {first, "["},
            {last, "]"},
            {last, last.replace("]]", "],[-129,1]]")},
            {"\"values\"", "\"value\""}
        };
        for (String[] change : changes) {
            fixture.metadata = valid;
            fixture.replaceMetadata(change[0], change[1]);
            assertDamaged("'values'");
        }
    }

    @Test
    void aDenseTwinOfACompressedMatrixIsRefused() {
        fixture.put(NAME, DType.U8, new byte[4], 4);
        assertDamaged("no part", NAME);
    }

    /** Places a number where the codes or scales of a part begin. */
    private void put(String suffix, Function<CompressedMatrix, EncodedMatrix> part, float value) {
        byte[] stored = fixture.bytes(suffix);
        ByteBuffer bytes = ByteBuffer.wrap(stored).order(ByteOrder.LITTLE_ENDIAN);
        if (suffix.equals("scales")) {
            int at = CompressedFixture.start(EncodedMatrix::scales, part);
            bytes.putShort(at, (short) (Float.floatToRawIntBits(value) >>> 16));
        } else {
            bytes.putFloat(CompressedFixture.start(EncodedMatrix::data, part), value);
        }
        fixture.putPart(suffix, DType.U8, stored, stored.length);
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void rightFactorsAndScalesMustBeFinite(float value) {
        put("codes", matrix -> matrix.right(0), value);
        assertDamaged("right factor 0", NAME, "NaN or infinity");
        for (int group : new int[] {0, 3}) {
            valid();
            put("scales", matrix -> matrix.left(group), value);
            assertDamaged(NAME + ".scales", "NaN or infinity");
        }
        valid();
        put("scales", matrix -> matrix.right(1), value);
        assertDamaged(NAME + ".scales", "NaN or infinity");
    }

    @ParameterizedTest
    @ValueSource(floats = {-1, -0f, -1e-40f})
    void aNegativeScaleIsRefused(float value) {
        put("scales", matrix -> matrix.left(3), value);
        assertDamaged(NAME + ".scales", "minus sign in row 0");
        valid();
        put("scales", matrix -> matrix.right(1), value);
        assertDamaged(NAME + ".scales", "minus sign in row 0");
    }

    @Test
    void aScaleThatMakesInfinityOfAValueIsRefused() {
        put("scales", matrix -> matrix.right(1), 3e38f);
        assertDamaged("right factor 1", "row 0");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "\"dtype\":\"F64\" | 'dtype'",
                "\"dtype\":16 | 'dtype'",
                "\"dtype\":\"F16\",\"sourceBytes\":5001 | 'sourceBytes' other than the 5002",
                "\"dtype\":\"F16\",\"sourceBytes\":\"5002\" | 'sourceBytes'",
                "\"dtype\":\"F16\",\"sourceBytes\":5002.5 | 'sourceBytes'",
                "\"dtype\":\"F16\",\"sourceBytes\":18446744073709556618 | 'sourceBytes'",
                "\"sourceBytes\":5002 | 'sourceBytes' other than the 10004",
                "\"sourceType\":\"Q4_0\",\"sourceBytes\":10004 | 'sourceBytes'",
                "\"sourceType\":\"Q4_0\",\"sourceBytes\":0 | 'sourceBytes'",
                "\"sourceType\":4,\"sourceBytes\":5002 | 'sourceType'",
                "\"relativeError\":-0.1 | 'relativeError'",
                "\"relativeError\":\"0.1\" | 'relativeError'",
                "\"relativeError\":null | 'relativeError'",
                "\"loss\":1e999 | 'loss'",
                "\"energy\":-1 | 'energy'",
                "\"calibration\":[0.5,\"x\"] | 'calibration'"
            })
    void figuresThatCannotBeAreRefused(String figures, String said) {
        fixture.replaceMetadata("\"dtype\":\"F16\"", figures);
        assertDamaged(NAME, said);
    }

    @Test
    void aQuantisedSourceTakesFewerBytes() {
        fixture.replaceMetadata("\"dtype\":\"F16\"", "\"dtype\":\"F32\",\"sourceType\":\"Q4_0\",\"sourceBytes\":1407");
        open().close();
    }

    @Test
    void figuresThatCanBeAreNot() {
        fixture.replaceMetadata(
                "\"dtype\":\"F16\"",
                "\"dtype\":\"BF16\",\"sourceBytes\":5002,\"relativeError\":0,\"loss\":1e-300,\"energy\":2,\"calibration\":[0.5,0]");
        open().close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"1\"", "1.9", "0", "-1", "4294967297", "null"})
    void aFormatVersionThatIsNoWholeNumberIsRefused(String version) {
        fixture.replaceMetadata("\"format\":3", "\"format\":" + version);
        assertDamaged("format version");
    }

    @Test
    void metadataThatRepeatsAFieldOrGoesOnIsRefused() {
        String valid = fixture.metadata;
        fixture.replaceMetadata("\"format\":3", "\"format\":3,\"format\":3");
        assertDamaged("key \"format\" twice");
        fixture.metadata = valid;
        fixture.replaceMetadata("\"dtype\"", "\"bias\":true,\"dtype\"");
        assertDamaged("key \"bias\" twice");
        fixture.metadata = valid + "{}";
        assertDamaged("not JSON");
        fixture.metadata = valid + " ".repeat(1 << 22);
        assertDamaged("characters");
    }

    @Test
    void tiesLeadFromAnAbsentTensorToACompressedOne() {
        String valid = fixture.metadata;
        for (String ties : List.of("\"a\":\"other\"", "\"a\":\"b\"", "\"a\":7", "\"other\":\"" + NAME + "\"")) {
            fixture.metadata = valid;
            fixture.replaceMetadata("\"embed.weight\":\"" + NAME + "\"", ties);
            assertDamaged("ties");
        }
    }

    @Test
    void aBiasOfTheModelStaysUnlessTheMatrixHasItsOwn() {
        Path target = directory.resolve("biased.safetensors");
        List<Tensor> copied = List.of(FormatFixtures.f32(NAME + ".bias", new long[] {3}, 7, 8, 9));
        CompressedMatrix own = CompressedFixture.matrix();
        for (CompressedMatrix matrix : List.of(own, own.withBias(null))) {
            CompressedFile.write(target, List.of(new CompressedEntry(matrix, Map.of())), copied, Map.of(), Map.of());
            try (CompressedFile file = CompressedFile.open(target)) {
                assertArrayEquals(matrix.bias(), file.require(NAME).bias());
                assertEquals(matrix.bias() == null, file.copied().containsKey(NAME + ".bias"));
            }
        }
    }

    @Test
    void noFileIsWrittenThatCouldNotBeRead() {
        CompressedEntry entry = new CompressedEntry(CompressedFixture.matrix(), Map.of());
        Path target = directory.resolve("out.safetensors");
        for (String name : List.of(NAME, NAME + ".codes", NAME + ".groups", NAME + ".scales")) {
            List<Tensor> copied = List.of(FormatFixtures.i32(name, 1));
            assertFails(
                    InvalidDataException.class,
                    () -> CompressedFile.write(target, List.of(entry), copied, Map.of(), Map.of()),
                    name);
        }
        assertEquals(List.of("valid.safetensors"), FormatFixtures.names(directory));
    }

    /** The largest numbers of the type, not infinity, stand for what it cannot hold; other numbers are rounded. */
    @ParameterizedTest
    @CsvSource({"F16, 65504", "BF16, 3.3895314e38", "F32, 3.4028235e38"})
    void anExportStaysFinite(String type, float largest) {
        int at = CompressedFixture.start(EncodedMatrix::data, matrix -> matrix.left(5));
        ByteBuffer codes = ByteBuffer.wrap(fixture.bytes("codes")).order(ByteOrder.LITTLE_ENDIAN);
        codes.putFloat(at, Float.MAX_VALUE).putFloat(at + 4, -Float.MAX_VALUE).putFloat(at + 8, 1.5f);
        fixture.putPart("codes", DType.U8, codes.array(), codes.capacity());
        fixture.replaceMetadata("\"F16\"", "\"" + type + "\"");
        Path dense = directory.resolve("dense.safetensors");
        try (CompressedFile file = open()) {
            DenseExport.write(file, dense);
        }
        try (Safetensors plain = Safetensors.open(dense)) {
            float[] row = Arrays.copyOfRange(plain.require(NAME).floats(), 5 * COLUMNS, 6 * COLUMNS);
            assertEquals(type, plain.require(NAME).type().name());
            assertArrayEquals(new float[] {largest, -largest, 1.5f}, Arrays.copyOf(row, 3));
            assertArrayEquals(
                    plain.require(NAME).floats(), plain.require("embed.weight").floats());
            assertTrue(plain.find("other").isPresent());
        }
    }
}
