package io.groupreduce.format;

import static io.groupreduce.format.CompressedFixture.COLUMNS;
import static io.groupreduce.format.CompressedFixture.NAME;
import static io.groupreduce.format.CompressedFixture.ROWS;
import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** All kinds of numbers, scales and biases through a file. */
class CompressedCodecsTest {
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

    /**
     * Dense rows, one low-rank group, one empty group and a right factor, all alike but that its numbers have 3 bits or more; the first row
     * of each is zero.
     */
    private static CompressedMatrix matrix(BitProfile profile, ScaleFormat scales, int block) {
        int columns = profile.width();
        int rank = Math.max(1, columns / 2);
        byte[] groupOf = {0, 1, 0, 1, 1};
        List<GroupPlan> plans = List.of(
                new GroupPlan(GroupPlan.DENSE, profile),
                new GroupPlan(0, profile.prefix(rank)),
                new GroupPlan(0, profile.prefix(1)));
        List<EncodedMatrix> left = List.of(
                encoded(profile, scales, 2, block),
                encoded(profile.prefix(rank), scales, 3, rank),
                encoded(profile.prefix(1), scales, 0, 1));
        int[] bits = IntStream.of(profile.toArray()).map(b -> Math.max(3, b)).toArray();
        List<EncodedMatrix> right = List.of(encoded(BitProfile.of(bits), scales, rank, columns));
        return new CompressedMatrix(NAME, columns, groupOf, plans, left, right);
    }

    private static EncodedMatrix encoded(BitProfile profile, ScaleFormat scales, int rows, int block) {
        int width = profile.width();
        Random random = new Random(width);
        EncodedMatrix matrix = EncodedMatrix.allocate(Arena.ofAuto(), profile, rows, block, scales);
        float[] row = new float[width];
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, row, 0);
            for (int j = 0; j < width; j++) {
                row[j] = (float) random.nextGaussian();
            }
        }
        return matrix;
    }

    /** 0: bits that fall from 8 to 1. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32})
    void allBitsScalesAndWidthsSurviveTheDisk(int bits) {
        Path file = directory.resolve("round.safetensors");
        for (ScaleFormat scales : ScaleFormat.values()) {
            List<CompressedMatrix> matrices = new ArrayList<>();
            for (int columns = 1; columns <= 40; columns++) {
                for (int block : new int[] {columns, CompressedMatrix.SCALE_BLOCK}) {
                    String name = "width " + columns + ", block " + block;
                    if (matrices.stream().noneMatch(m -> m.name().equals(name))) {
                        int[] falling = IntStream.iterate(8, b -> Math.max(1, b - 1))
                                .limit(columns)
                                .toArray();
                        BitProfile profile = bits == 0 ? BitProfile.of(falling) : BitProfile.constant(bits, columns);
                        matrices.add(matrix(profile, scales, block).named(name));
                    }
                }
            }
            List<CompressedEntry> entries = matrices.stream()
                    .map(matrix -> new CompressedEntry(matrix, Map.of()))
                    .toList();
            CompressedFile.write(file, entries, List.of(), Map.of(), Map.of());
            try (CompressedFile read = CompressedFile.open(file)) {
                assertEquals(matrices.size(), read.matrices().size());
                matrices.forEach(matrix -> assertSame(matrix, read.require(matrix.name())));
            }
        }
    }

    private static void assertSame(CompressedMatrix matrix, CompressedMatrix found) {
        String what = matrix.name() + " of " + matrix.left(0).profile();
        assertEquals(matrix.groups(), found.groups(), what);
        for (int g = 0; g < matrix.groups().size(); g++) {
            assertEquals(matrix.left(g).scalesPerRow(), found.left(g).scalesPerRow(), what);
            assertEquals(
                    matrix.describedGroups().get(g).text(),
                    found.describedGroups().get(g).text(),
                    what);
        }
        assertEquals(
                matrix.describedBases().get(0).text(),
                found.describedBases().get(0).text(),
                what);
        assertEquals(matrix.bytes() - matrix.headerBytes(), found.bytes() - found.headerBytes(), what);
        float[] expected = new float[matrix.rows() * matrix.columns()];
        float[] decoded = expected.clone();
        matrix.decodeRows(0, matrix.rows(), expected, 0);
        found.decodeRows(0, matrix.rows(), decoded, 0);
        assertArrayEquals(expected, decoded, what);
        assertFalse(Arrays.equals(expected, new float[expected.length]), what);
    }

    @Test
    void aBiasIsRoundedOnceAndCounted() {
        CompressedMatrix matrix = CompressedFixture.matrix();
        CompressedMatrix plain = matrix.withBias(null);
        assertNull(plain.bias());
        long described = matrix.headerBytes() - plain.headerBytes();
        assertEquals(plain.bytes() + 2 * ROWS + described, matrix.bytes());
        assertTrue(described > NAME.length() && described < 200, "described in " + described + " bytes");
        float[] values = new float[ROWS];
        Arrays.fill(values, 1 + 1f / 300);
        CompressedMatrix biased = plain.withBias(values);
        assertEquals(1f, biased.bias()[3]);
        assertEquals(1 + 1f / 300, values[3]);
        assertArrayEquals(
                biased.bias(), biased.named("other").withBias(biased.bias()).bias());
        assertArrayEquals(biased.bias(), biased.named("other").bias());
    }

    @Test
    void aBiasThatCannotBeStoredIsRefused() {
        CompressedMatrix matrix = CompressedFixture.matrix();
        assertFails(InvalidDataException.class, () -> matrix.withBias(new float[ROWS + 1]), ROWS + 1, ROWS);
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY, Float.MAX_VALUE}) {
            float[] values = new float[ROWS];
            values[5] = bad;
            assertFails(InvalidDataException.class, () -> matrix.withBias(values), "index 5", bad);
        }
    }

    @Test
    void aBadBiasIsRefused() {
        String name = NAME + ".bias";
        byte[] stored = fixture.bytes("bias");
        for (int bits : new int[] {0x7fc0, 0x7f80, 0xff80}) {
            byte[] bad = stored.clone();
            ByteBuffer.wrap(bad).order(ByteOrder.LITTLE_ENDIAN).putShort(14, (short) bits);
            fixture.putPart("bias", DType.BF16, bad, ROWS);
            assertDamaged(name, Float.intBitsToFloat(bits << 16), "index 7");
        }
        fixture.putPart("bias", DType.BF16, new byte[2 * ROWS - 2], ROWS - 1);
        assertDamaged(name, "[" + ROWS + "]");
        fixture.putPart("bias", DType.BF16, stored, 1, ROWS);
        assertDamaged(name, "[" + ROWS + "]");
        for (DType type : new DType[] {DType.F16, DType.F32}) {
            fixture.putPart("bias", type, new byte[type.bytes() * ROWS], ROWS);
            assertDamaged(name, type);
        }
        fixture.tensors.remove(name);
        assertDamaged(name, "missing");
        String valid = fixture.metadata;
        fixture.replaceMetadata("\"bias\":true", "\"bias\":1");
        assertDamaged(NAME, "'bias'");
        fixture.metadata = valid;
        fixture.replaceMetadata("\"bias\":true", "\"bias\":false");
        try (CompressedFile file = open()) {
            assertNull(file.require(NAME).bias());
        }
    }

    @Test
    void anExportPutsTheBiasInThePlaceOfTheModels() {
        float[] expected = CompressedFixture.matrix().bias();
        // The model's own, in its own type and shape; numbers of 64 bits are not written.
        for (DType type : new DType[] {DType.F32, DType.BF16, DType.F64}) {
            valid();
            fixture.put("final_logits_bias", type, new byte[ROWS * type.bytes()], 1, ROWS);
            fixture.replaceMetadata(
                    "\"tied\"", "\"logits\":{\"" + NAME + "\":{\"bias\":\"final_logits_bias\"}},\"tied\"");
            Map<String, Tensor> exported = export();
            assertEquals(4, exported.size(), exported.keySet().toString());
            Tensor bias = exported.get("final_logits_bias");
            assertEquals(type == DType.F64 ? DType.F32 : type, bias.type());
            assertArrayEquals(new long[] {1, ROWS}, bias.shape());
            assertArrayEquals(expected, bias.floats());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "F16", "BF16"})
    void anExportAddsABiasThatTheModelLacks(String type) {
        fixture.replaceMetadata("\"F16\"", "\"" + type + "\"");
        ByteBuffer stored = ByteBuffer.wrap(fixture.bytes("bias")).order(ByteOrder.LITTLE_ENDIAN);
        float[] expected = CompressedFixture.matrix().bias();
        // 2^100, which F16 does not have.
        stored.putShort(0, (short) (227 << 7));
        expected[0] = type.equals("F16") ? 65_504 : 0x1p100f;
        fixture.putPart("bias", DType.BF16, stored.array(), ROWS);
        Tensor bias = export().get("lm_head.bias");
        assertEquals(type, bias.type().name());
        assertArrayEquals(expected, bias.floats(), 1e-3f);
    }

    /** An embedding that is the output as well has the bias under an output's name. */
    @Test
    void anExportFindsTheBiasOfAnEmbeddingThatIsTheOutput() {
        Path file = directory.resolve("tied.safetensors");
        CompressedMatrix matrix = CompressedFixture.matrix().named("model.embed_tokens.weight");
        Logits logits = new Logits(1, "cls.decoder.bias", 0, null);
        CompressedEntry entry = new CompressedEntry(matrix, Map.of("dtype", "F32"), logits);
        Tensor own = f32("cls.decoder.bias", new long[] {ROWS}, new float[ROWS]);
        Tensor other = f32("layer.1.decoder.bias", new long[] {COLUMNS}, new float[COLUMNS]);
        CompressedFile.write(file, List.of(entry), List.of(own, other), Map.of(), Map.of());
        Path dense = directory.resolve("dense.safetensors");
        try (CompressedFile compressed = CompressedFile.open(file)) {
            DenseExport.write(compressed, dense);
        }
        try (Model model = Model.open(dense)) {
            assertEquals(3, model.tensors().size());
            assertArrayEquals(matrix.bias(), model.bias(model.logits("model.embed_tokens.weight")));
            assertArrayEquals(
                    new float[COLUMNS], model.require("layer.1.decoder.bias").floats());
        }
    }

    private Map<String, Tensor> export() {
        Path dense = directory.resolve("dense.safetensors");
        try (CompressedFile file = open()) {
            DenseExport.write(file, dense);
        }
        Map<String, Tensor> copies = new LinkedHashMap<>();
        try (Safetensors plain = Safetensors.open(dense)) {
            CompressedFixture copy = new CompressedFixture();
            plain.tensors()
                    .values()
                    .forEach(t -> copy.put(t.name(), t.type(), t.data().toArray(ValueLayout.JAVA_BYTE), t.shape()));
            copies.putAll(copy.tensors);
        }
        return copies;
    }
}
