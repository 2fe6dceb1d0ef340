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
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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
            assertEquals(CompressedFixture.matrix().bytes(), matrix.bytes());
            assertEquals(Map.of("embed.weight", NAME), file.tied());
            assertEquals(1, file.copied().size());
        }
    }

    @Test
    void aRankBeyondTheColumnsIsRefused() {
        int rank = 5000;
        fixture.putPart("right.0", DType.F32, new byte[rank * COLUMNS * 4], rank, COLUMNS);
        fixture.putPart("left.0", DType.I8, new byte[7 * rank], 7, rank);
        fixture.replaceMetadata("\"ranks\":[3", "\"ranks\":[" + rank);
        assertDamaged("right.0", "5000 rows", COLUMNS);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, 46_341, Integer.MAX_VALUE, Long.MAX_VALUE})
    void aWidthThatNoMatrixHasIsRefusedEvenWhereNothingIsStored(long columns) {
        fixture.tensors.keySet().removeIf(t -> t.startsWith(NAME));
        fixture.putPart("group", DType.U8, new byte[ROWS], ROWS);
        fixture.putPart("basis", DType.U8, new byte[] {(byte) GroupPlan.ZERO}, 1);
        fixture.metadata = "{\"format\":2,\"tensors\":{\"" + NAME + "\":{\"shape\":[" + ROWS + "," + columns
                + "],\"ranks\":[0],\"codecs\":[\"none\"],\"rightCodecs\":[]}}}";
        assertDamaged("shape", 46_340);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 256, 257, 300})
    void aNumberOfGroupsThatNoByteNamesIsRefused(int groups) {
        byte[] bases = new byte[groups];
        Arrays.fill(bases, (byte) GroupPlan.ZERO);
        fixture.putPart("basis", DType.U8, bases, groups);
        assertDamaged(NAME + ".basis", groups + " entries");
    }

    @Test
    void rightFactorsWithoutAUserOrBehindAGapAreRefused() {
        Tensor factor = fixture.part("right.0");
        byte[] data = fixture.bytes("right.0");
        fixture.putPart("right.4", factor.type(), data, factor.shape());
        String valid = fixture.metadata;
        assertDamaged("rightCodecs", "5 codecs");
        fixture.replaceMetadata("\"int4\",\"int3\"]", "\"int4\",\"int3\",\"f32\"]");
        assertDamaged("uses", NAME + ".right.4");
        fixture.metadata = valid;
        fixture.tensors.remove(NAME + ".right.4");
        fixture.putPart("right.7", factor.type(), data, factor.shape());
        assertDamaged("no part", NAME + ".right.7");
    }

    @ParameterizedTest
    @ValueSource(strings = {"left.4", "left_scale.5", "right_scale.0", "left.99", "right.007"})
    void aPartThatNothingNeedsIsNoCopiedTensor(String suffix) {
        fixture.putPart(suffix, DType.U8, new byte[4], 4);
        assertDamaged("no part", NAME + "." + suffix);
    }

    @Test
    void aDenseTwinOfACompressedMatrixIsRefused() {
        fixture.put(NAME, DType.U8, new byte[4], 4);
        assertDamaged("no part", NAME);
    }

    @ParameterizedTest
    @CsvSource({
        "right.0, NaN",
        "right.0, -Infinity",
        "right_scale.1, Infinity",
        "left_scale.0, NaN",
        "left_scale.3, Infinity"
    })
    void rightFactorsAndScalesMustBeFinite(String suffix, float value) {
        Tensor part = fixture.part(suffix);
        ByteBuffer bytes = ByteBuffer.wrap(fixture.bytes(suffix)).order(ByteOrder.LITTLE_ENDIAN);
        int last = bytes.capacity() - part.type().bytes();
        if (part.type() == DType.F32) {
            bytes.putFloat(last, value);
        } else {
            bytes.putShort(last, (short) (Float.floatToRawIntBits(value) >>> 16));
        }
        fixture.putPart(suffix, part.type(), bytes.array(), part.shape());
        assertDamaged(NAME + "." + suffix, "NaN or infinity");
    }

    @Test
    void aScaleThatMakesInfinityOfAnIntegerIsRefused() {
        byte[] scales = fixture.bytes("right_scale.1");
        scales[0] = 0x7f;
        scales[1] = 0x7f;
        fixture.putPart("right_scale.1", DType.BF16, scales, scales.length / 2);
        assertDamaged(NAME + ".right.1", "row 0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"3\"", "3.0", "3.5", "null", "18446744073709551619", "4294967299", "true", "[3]"})
    void aRankThatIsNoWholeNumberIsRefused(String rank) {
        fixture.replaceMetadata("\"ranks\":[3", "\"ranks\":[" + rank);
        assertDamaged(NAME);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"1\"", "1.9", "0", "-1", "4294967297", "null"})
    void aFormatVersionThatIsNoWholeNumberIsRefused(String version) {
        fixture.replaceMetadata("\"format\":2", "\"format\":" + version);
        assertDamaged("format version");
    }

    @Test
    void metadataThatRepeatsAFieldOrGoesOnIsRefused() {
        String valid = fixture.metadata;
        fixture.replaceMetadata("\"format\":2", "\"format\":2,\"format\":2");
        assertDamaged("not JSON");
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
        for (String name : List.of(NAME, NAME + ".right.9", NAME + ".group")) {
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
        ByteBuffer rows = ByteBuffer.wrap(fixture.bytes("left.5")).order(ByteOrder.LITTLE_ENDIAN);
        rows.putFloat(0, Float.MAX_VALUE).putFloat(4, -Float.MAX_VALUE).putFloat(8, 1.5f);
        fixture.putPart(
                "left.5", DType.F32, rows.array(), fixture.part("left.5").shape());
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
