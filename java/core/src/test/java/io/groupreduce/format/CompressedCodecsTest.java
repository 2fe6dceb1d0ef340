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

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.Codec;
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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Codecs, scale formats and biases through a file, and metadata that its tensors belie. */
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

    /** Dense rows, one low-rank group, one empty group and a right factor of one codec; the first row of each is zero. */
    private static CompressedMatrix matrix(Codec codec, ScaleFormat scales, int columns, int block) {
        int rank = Math.max(1, columns / 2);
        byte[] groupOf = {0, 1, 0, 1, 1};
        List<GroupPlan> plans = List.of(
                new GroupPlan(GroupPlan.DENSE, columns, codec),
                new GroupPlan(0, rank, codec),
                new GroupPlan(0, 1, codec));
        List<EncodedMatrix> left = List.of(
                encoded(codec, scales, 2, columns, block),
                encoded(codec, scales, 3, rank, rank),
                encoded(codec, scales, 0, 1, 1));
        List<EncodedMatrix> right = List.of(encoded(codec, scales, rank, columns, columns));
        return new CompressedMatrix(NAME, columns, groupOf, plans, left, right);
    }

    private static EncodedMatrix encoded(Codec codec, ScaleFormat scales, int rows, int width, int block) {
        Random random = new Random(width);
        EncodedMatrix matrix = EncodedMatrix.allocate(Arena.ofAuto(), codec, rows, width, block, scales);
        float[] row = new float[width];
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, row, 0);
            for (int j = 0; j < width; j++) {
                row[j] = (float) random.nextGaussian();
            }
        }
        return matrix;
    }

    @ParameterizedTest
    @EnumSource
    void everyCodecScaleAndWidthSurvivesTheDisk(Codec codec) {
        Path file = directory.resolve("round.safetensors");
        for (ScaleFormat scales : ScaleFormat.values()) {
            List<CompressedMatrix> matrices = new ArrayList<>();
            for (int columns = 1; columns <= 40; columns++) {
                for (int block : new int[] {columns, CompressedMatrix.SCALE_BLOCK}) {
                    String name = "width " + columns + ", block " + block;
                    if (matrices.stream().noneMatch(m -> m.name().equals(name))) {
                        matrices.add(matrix(codec, scales, columns, block).named(name));
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
        String what = matrix.name() + " of " + matrix.left(0).codec();
        assertEquals(matrix.groups(), found.groups(), what);
        assertEquals(matrix.bytes(), found.bytes(), what);
        assertEquals(matrix.right(0).codec(), found.right(0).codec(), what);
        if (matrix.left(0).codec().scaled()) {
            assertEquals(matrix.left(0).scaleFormat(), found.left(0).scaleFormat(), what);
        }
        float[] expected = new float[matrix.rows() * matrix.columns()];
        float[] decoded = expected.clone();
        matrix.decodeRows(0, matrix.rows(), expected, 0);
        found.decodeRows(0, matrix.rows(), decoded, 0);
        assertArrayEquals(expected, decoded, what);
        assertFalse(Arrays.equals(expected, new float[expected.length]), what);
    }

    /** The fixture's groups: int8, int4, bf16, int8, none, f32, f32, int3, int3; its bases: f32, int8, int4, int3. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"codecs\":[\"int8\"| \"codecs\":[\"int4\"| left.0 I8 int4",
                "\"codecs\":[\"int8\"| \"codecs\":[\"none\"| none",
                "\"codecs\":[\"int8\"| \"codecs\":[\"int2\"| left.0 int2",
                "\"codecs\":[\"int8\"| \"codecs\":[\"INT8\"| left.0 INT8",
                "\"codecs\":[\"int8\"| \"codecs\":[null| codecs",
                "\"codecs\":[\"int8\"| \"codecs\":[8| codecs",
                "\"codecs\":[\"int8\",| \"codecs\":[| 'codecs'",
                "\"int8\",\"int4\",\"bf16\"| \"int8\",\"int3\",\"bf16\"| left.1 shape",
                "\"none\"| \"f32\"| 'group 4'",
                "\"int3\",\"int3\"]| \"int3\",\"int4\"]| left.8 shape",
                "\"codecs\"| \"codex\"| 'codecs'",
                "\"rightCodecs\"| \"codex\"| 'rightCodecs'",
                "\"rightCodecs\":[\"f32\"| \"rightCodecs\":[\"bf16\"| right.0 F32",
                "\"rightCodecs\":[\"f32\"| \"rightCodecs\":[\"none\"| right.0 none",
                "\"int8\",\"int4\",\"int3\"]| \"int8\",\"int3\",\"int3\"]| right.2 shape",
                "\"int4\",\"int3\"]| \"int4\"]| 'rightCodecs'"
            })
    void metadataThatTheTensorsBelieIsRefused(String what, String with, String parts) {
        fixture.replaceMetadata(what, with);
        assertDamaged((Object[]) parts.replace("'", "").split(" "));
    }

    @Test
    void scalesOfAnotherTypeOrShapeAreRefused() {
        int rows = (int) fixture.part("left_scale.7").shape()[0];
        fixture.putPart("left_scale.7", DType.I8, new byte[rows], rows);
        assertDamaged("left_scale.7", "I8", "U8, BF16 or F32");
        fixture.putPart("left_scale.7", DType.U8, new byte[rows - 1], rows - 1);
        assertDamaged("left_scale.7", "shape");
        fixture.putPart("left_scale.7", DType.U8, new byte[rows], rows);
        open().close();
    }

    @Test
    void aBiasIsRoundedOnceAndCounted() {
        CompressedMatrix matrix = CompressedFixture.matrix();
        CompressedMatrix plain = matrix.withBias(null);
        assertNull(plain.bias());
        assertEquals(plain.bytes() + 2 * ROWS, matrix.bytes());
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
    void aBiasOfBinary32IsReadAndABadOneRefused() {
        float[] values = new float[ROWS];
        values[7] = -2.5f;
        String name = NAME + ".bias";
        fixture.tensors.put(name, f32(name, new long[] {ROWS}, values));
        try (CompressedFile file = open()) {
            assertArrayEquals(values, file.require(NAME).bias());
        }
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -Float.MAX_VALUE}) {
            values[7] = bad;
            fixture.tensors.put(name, f32(name, new long[] {ROWS}, values));
            assertDamaged(name, bad, "index 7");
        }
        fixture.tensors.put(name, f32(name, new long[] {ROWS - 1}, new float[ROWS - 1]));
        assertDamaged(name, "[" + ROWS + "]");
        fixture.tensors.put(name, f32(name, new long[] {1, ROWS}, new float[ROWS]));
        assertDamaged(name, "[" + ROWS + "]");
        fixture.put(name, DType.F16, new byte[2 * ROWS], ROWS);
        assertDamaged(name, "F16");
        fixture.tensors.remove(name);
        assertDamaged(name, "missing");
        fixture.replaceMetadata("\"bias\":true", "\"bias\":false");
        try (CompressedFile file = open()) {
            assertNull(file.require(NAME).bias());
        }
    }

    @Test
    void anExportPutsTheBiasInThePlaceOfTheModels() {
        float[] expected = CompressedFixture.matrix().bias();
        // The model's own, in its own type, under the name of the output or of what the embedding is tied to.
        Map<String, DType> cases = new LinkedHashMap<>();
        cases.put("lm_head.bias", DType.F32);
        cases.put("embed.bias", DType.BF16);
        for (Map.Entry<String, DType> own : cases.entrySet()) {
            valid();
            fixture.put(
                    own.getKey(), own.getValue(), new byte[ROWS * own.getValue().bytes()], ROWS);
            Map<String, Tensor> exported = export();
            assertEquals(4, exported.size(), exported.keySet().toString());
            assertEquals(own.getValue(), exported.get(own.getKey()).type());
            assertArrayEquals(expected, exported.get(own.getKey()).floats());
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
        CompressedEntry entry = new CompressedEntry(matrix, Map.of("dtype", "F32"));
        Tensor own = f32("cls.decoder.bias", new long[] {ROWS}, new float[ROWS]);
        Tensor other = f32("layer.decoder.bias", new long[] {COLUMNS}, new float[COLUMNS]);
        CompressedFile.write(file, List.of(entry), List.of(own, other), Map.of(), Map.of());
        Path dense = directory.resolve("dense.safetensors");
        try (CompressedFile compressed = CompressedFile.open(file)) {
            DenseExport.write(compressed, dense);
        }
        try (Model model = Model.open(dense)) {
            assertEquals(3, model.tensors().size());
            assertArrayEquals(matrix.bias(), SoftmaxBias.of(model, "model.embed_tokens.weight"));
            assertArrayEquals(
                    new float[COLUMNS], model.require("layer.decoder.bias").floats());
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
