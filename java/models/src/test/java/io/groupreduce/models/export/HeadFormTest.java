package io.groupreduce.models.export;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.bytes;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static io.groupreduce.models.onnx.TestGraph.transposed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.Metric;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model.Role;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.onnx.TestGraph;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Output layers in place of a model's own, run by ONNX Runtime. */
class HeadFormTest {
    private static final int ROWS = 700;
    private static final int COLUMNS = 80;

    /** The file's own rounding to 3 bits and fewer loses as much; in another order of tokens the error would be 1.4. */
    private static final double USUAL = 0.13;

    /** States and numbers are rounded to 8 bits. */
    private static final double EIGHT = 0.015;

    private static final Parallel ALONE =
            (tasks, task) -> IntStream.range(0, tasks).forEach(task);

    @TempDir
    Path directory;

    private final Arena arena = Arena.ofAuto();
    private final float[] bias = gaussian(8, ROWS);
    private final float[] states = gaussian(9, 6 * COLUMNS);

    /** Rows in a mixed order; directions fall as the bits of the profiles do, and each a scale of the byte grid. */
    private CompressedMatrix matrix(GroupPlan... plans) {
        Random random = new Random(5);
        byte[] groups = new byte[ROWS];
        int[] sizes = new int[plans.length];
        for (int i = 0; i < ROWS; i++) {
            groups[i] = (byte) (i < plans.length ? i : random.nextInt(plans.length));
            sizes[groups[i]]++;
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < plans.length; g++) {
            left.add(plans[g].isZero() ? null : coded(random, plans[g].profile(), sizes[g], plans[g].block(), false));
        }
        int bases = Arrays.stream(plans)
                .filter(GroupPlan::isLowRank)
                .mapToInt(plan -> plan.basis() + 1)
                .max()
                .orElse(0);
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < bases; b++) {
            right.add(coded(random, BitProfile.constant(8, COLUMNS), COLUMNS, 32, true));
        }
        return new CompressedMatrix("head", COLUMNS, groups, List.of(plans), left, right);
    }

    private EncodedMatrix coded(Random random, BitProfile profile, int rows, int block, boolean falling) {
        EncodedMatrix made = EncodedMatrix.allocate(arena, profile, rows, block, ScaleFormat.LOG8);
        float[] row = new float[profile.width()];
        for (int r = 0; r < rows; r++) {
            double size = falling ? 1 / (1 + 0.5 * r) : Math.exp(0.5 * random.nextGaussian());
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) (size * random.nextGaussian());
            }
            made.encodeRow(r, row, 0, null);
        }
        return made;
    }

    private static GroupPlan plan(int basis, String profile) {
        return new GroupPlan(basis, BitProfile.parse(profile, COLUMNS));
    }

    /** What rate-distortion makes: profiles of falling bits, dense rows, zeros. */
    private CompressedMatrix usual() {
        return matrix(
                plan(0, "7x2.2.4.8.16.24.24"),
                plan(0, "5x4.8.16.20.12"),
                plan(0, "3x4.16.20"),
                GroupPlan.zero(),
                plan(GroupPlan.DENSE, "8x80"));
    }

    private static float[] rows(CompressedMatrix matrix) {
        float[] rows = new float[matrix.rows() * matrix.columns()];
        matrix.decodeRows(0, matrix.rows(), rows, 0);
        return rows;
    }

    private TestGraph product(CompressedMatrix matrix) {
        return new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .floats("head", transposed(rows(matrix), ROWS, COLUMNS), COLUMNS, ROWS)
                .floats("bias", bias, ROWS)
                .node("MatMul", "h head", "products")
                .node("Add", "products bias", "logits")
                .output("logits", DataType.FLOAT, -1, ROWS);
    }

    /** What the model's place gives with a replacement in it. */
    private float[] run(TestGraph graph, Replacement form) throws IOException {
        try (OnnxFile model = OnnxFile.open(graph.save(directory.resolve("model.onnx")))) {
            Place place = Places.find(model).getFirst();
            assertEquals(Role.OUTPUT, place.role());
            GraphEditor editor = new GraphEditor(model);
            editor.replace(place, form);
            Path written = directory.resolve("small.onnx");
            editor.writer().write(written, file -> {});
            try (OnnxFile small = OnnxFile.open(written)) {
                return PlacedLogits.of(small, place, states, 1);
            }
        }
    }

    private double error(float[] logits, CompressedMatrix matrix, double factor) {
        float[] own = HeadCheck.logits(matrix, factor, bias, states, ALONE);
        return HeadCheck.error(own, logits, bias, ROWS, 0);
    }

    @Test
    void logitsAreThoseOfTheCompressedRowsInTheOrderOfTokens() throws IOException {
        CompressedMatrix matrix = usual();
        float[] logits = run(product(matrix), new HeadForm(matrix, ALONE, arena));
        assertTrue(error(logits, matrix, 1) < USUAL, () -> "error " + error(logits, matrix, 1));
        for (int i = 0; i < ROWS; i++) {
            if (matrix.groups().get(matrix.group(i)).isZero()) {
                assertEquals(bias[i], logits[i], "row " + i);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"8x80", "8x33", "32x40", "16x80"})
    void whatHasEightBitsOrMoreKeepsThem(String profile) throws IOException {
        CompressedMatrix matrix = matrix(plan(0, profile));
        float[] logits = run(product(matrix), new HeadForm(matrix, ALONE, arena));
        assertTrue(error(logits, matrix, 1) < EIGHT, () -> "error " + error(logits, matrix, 1));
    }

    @Test
    void severalBasesAndDenseRowsAlone() throws IOException {
        CompressedMatrix two = matrix(plan(0, "8x40"), plan(1, "6x8.16.30"), plan(1, "8x80"));
        assertTrue(error(run(product(two), new HeadForm(two, ALONE, arena)), two, 1) < USUAL);
        CompressedMatrix dense = matrix(plan(GroupPlan.DENSE, "16x80"), GroupPlan.zero());
        assertTrue(error(run(product(dense), new HeadForm(dense, ALONE, arena)), dense, 1) < EIGHT);
    }

    @Test
    void gemmWithAFactorAndABiasOfTheCompressedFile() throws IOException {
        CompressedMatrix matrix = usual().withBias(bias);
        TestGraph gemm = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .floats("head", rows(matrix), ROWS, COLUMNS)
                .floats("bias", gaussian(2, ROWS), ROWS)
                .node("Gemm", "h head bias", "logits", attribute("transB", 1), attribute("alpha", 0.5f))
                .output("logits", DataType.FLOAT, -1, ROWS);
        float[] logits = run(gemm, new HeadForm(matrix, ALONE, arena));
        double error = HeadCheck.error(
                HeadCheck.logits(matrix, 0.5, matrix.bias(), states, ALONE), logits, matrix.bias(), ROWS, 0);
        assertTrue(error < USUAL, "error " + error);
    }

    /** The graph multiplies and adds behind the place, and a calibrated bias stands for what it adds. */
    @Test
    void aBiasOfTheCompressedFileWhereTheGraphAddsItsOwnLater() throws IOException {
        CompressedMatrix matrix = usual().withBias(gaussian(2, ROWS));
        TestGraph later = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .floats("head", transposed(rows(matrix), ROWS, COLUMNS), COLUMNS, ROWS)
                .floats("bias", bias, ROWS)
                .scalar("half", 0.5f)
                .node("MatMul", "h head", "products")
                .node("Mul", "products half", "halves")
                .node("Add", "halves bias", "logits")
                .output("logits", DataType.FLOAT, -1, ROWS);
        float[] logits = run(later, new HeadForm(matrix, ALONE, arena));
        for (int i = 0; i < logits.length; i++) {
            logits[i] = 0.5f * logits[i] + bias[i % ROWS];
        }
        double error = HeadCheck.error(
                HeadCheck.logits(matrix, 0.5, matrix.bias(), states, ALONE), logits, matrix.bias(), ROWS, 0);
        assertTrue(error < USUAL, "error " + error);
    }

    @Test
    void halfPrecision() throws IOException {
        CompressedMatrix matrix = usual();
        TestGraph half = new TestGraph()
                .input("h", DataType.FLOAT16, -1, COLUMNS)
                .initializer(tensor(
                        "head",
                        DataType.FLOAT16,
                        bytes(DataType.FLOAT16, transposed(rows(matrix), ROWS, COLUMNS)),
                        COLUMNS,
                        ROWS))
                .initializer(tensor("bias", DataType.FLOAT16, bytes(DataType.FLOAT16, bias), ROWS))
                .node("MatMul", "h head", "products")
                .node("Add", "products bias", "logits")
                .output("logits", DataType.FLOAT16, -1, ROWS);
        float[] logits = run(half, new HeadForm(matrix, ALONE, arena));
        assertTrue(error(logits, matrix, 1) < USUAL, () -> "error " + error(logits, matrix, 1));
    }

    @Test
    void rowsTakeTheClassThatTheirBitsAskFor() {
        CompressedMatrix matrix = usual();
        List<RankClasses.RankClass> classes = new RankClasses(matrix, 0, ALONE).choose();
        assertTrue(classes.size() <= 4);
        int[] rank = new int[ROWS];
        for (RankClasses.RankClass c : classes) {
            for (int row : c.rows()) {
                assertEquals(0, rank[row], "row " + row + " twice");
                rank[row] = c.rank();
            }
        }
        double[] means = IntStream.range(0, 5)
                .mapToDouble(g -> IntStream.range(0, ROWS)
                        .filter(i -> matrix.group(i) == g)
                        .map(i -> rank[i])
                        .average()
                        .orElseThrow())
                .toArray();
        assertTrue(means[0] > means[1] && means[1] > means[2] && means[2] >= means[3], Arrays.toString(means));
        assertEquals(0, means[4], "dense rows are of no basis");
    }

    @ParameterizedTest
    @ValueSource(ints = {64, 72})
    void oneTableServesLookUpAndOutput(int columns) throws IOException {
        float[] rows = gaussian(3, 50 * columns);
        EncodedMatrix dense = EncodedMatrix.allocate(arena, BitProfile.constant(16, columns), 50, columns);
        for (int i = 0; i < 50; i++) {
            dense.encodeRow(i, rows, i * columns);
        }
        CompressedMatrix matrix = new CompressedMatrix(
                "words",
                columns,
                new byte[50],
                List.of(new GroupPlan(GroupPlan.DENSE, BitProfile.constant(16, columns))),
                Arrays.asList(dense),
                List.of());
        new TestGraph()
                .tokens("input_ids")
                .floats("words", rows, 50, columns)
                .node("Gather", "words input_ids", "x")
                .node("Tanh", "x", "h")
                .node("Transpose", "words", "turned", attribute("perm", 1, 0))
                .node("MatMul", "h turned", "logits")
                .output("x", DataType.FLOAT, -1, -1, columns)
                .output("logits", DataType.FLOAT, -1, -1, 50)
                .save(directory.resolve("tied.onnx"));
        double[] moment = new double[columns * columns];
        for (int i = 0; i < moment.length; i++) {
            moment[i] = i / columns == i % columns ? 1 : 0.5;
        }
        float[] table = new float[50 * columns];
        float[] h = gaussian(4, 3 * columns);
        try (OnnxFile model = OnnxFile.open(directory.resolve("tied.onnx"))) {
            GraphEditor editor = new GraphEditor(model);
            TiedForm form = new TiedForm(matrix, new Metric("metric", columns, moment), ALONE, arena);
            List<Place> places = Places.find(model);
            assertEquals(2, places.size());
            places.forEach(place -> editor.replace(place, form));
            editor.writer().write(directory.resolve("small.onnx"), file -> {});
            Place look = places.stream()
                    .filter(p -> p.role() == Role.EMBEDDING)
                    .findFirst()
                    .orElseThrow();
            Place out = places.stream()
                    .filter(p -> p.role() == Role.OUTPUT)
                    .findFirst()
                    .orElseThrow();
            try (OnnxFile small = OnnxFile.open(directory.resolve("small.onnx"));
                    PlacedRows found = new PlacedRows(small, look)) {
                table = found.of(IntStream.range(0, 50).toArray());
                float[] logits = PlacedLogits.of(small, out, h, 1);
                float[] expected = new float[logits.length];
                for (int t = 0; t < 3; t++) {
                    for (int i = 0; i < 50; i++) {
                        for (int j = 0; j < columns; j++) {
                            expected[t * 50 + i] += h[t * columns + j] * table[i * columns + j];
                        }
                    }
                }
                // Both operators decode the same numbers; the product's activations have 8 bits.
                assertTrue(HeadCheck.error(expected, logits, null, 50, 0) < EIGHT);
            }
        }
        double apart = 0;
        double norm = 0;
        for (int i = 0; i < rows.length; i++) {
            apart += Math.pow(table[i] - rows[i], 2);
            norm += rows[i] * rows[i];
        }
        assertTrue(Math.sqrt(apart / norm) < 0.1, "error " + Math.sqrt(apart / norm));
        long stored = Files.size(directory.resolve("small.onnx"));
        assertTrue(stored < TiedForm.bytes(matrix) + 4000, "stored " + stored);
    }

    @Test
    void anExportIsJudgedOnGivenStates() throws IOException {
        CompressedMatrix matrix = usual();
        Path compressed = directory.resolve("head.safetensors");
        CompressedFile.write(compressed, List.of(new CompressedEntry(matrix, Map.of())), List.of(), Map.of(), Map.of());
        Path model = product(matrix).save(directory.resolve("model.onnx"));
        Matrix hidden = Matrix.of("states", states, 6, COLUMNS);
        try (CompressedFile file = CompressedFile.open(compressed);
                OnnxExport export = new OnnxExport(file, model, hidden);
                OnnxExport random = new OnnxExport(file, model)) {
            OnnxExport.Placed placed =
                    export.write(directory.resolve("a.onnx"), null).matrices().getFirst();
            assertEquals(6, placed.counted());
            assertTrue(placed.divergence() > 0 && placed.divergence() < 1, "KL " + placed.divergence());
            assertTrue(placed.sameToken() >= 0.5, "same " + placed.sameToken());
            assertEquals(placed.added(), placed.error(), 2e-3, "the compressed rows are the model's own");
            OnnxExport.Placed other =
                    random.write(directory.resolve("b.onnx"), null).matrices().getFirst();
            assertTrue(other.added() < USUAL && Double.isNaN(other.divergence()));
            assertArrayEquals(
                    Files.readAllBytes(directory.resolve("a.onnx")), Files.readAllBytes(directory.resolve("b.onnx")));
        }
        try (CompressedFile file = CompressedFile.open(compressed)) {
            Matrix narrow = Matrix.of("states", states, 12, COLUMNS / 2);
            InvalidDataException e =
                    assertThrows(InvalidDataException.class, () -> new OnnxExport(file, model, narrow).close());
            assertEquals("states has 40 columns, and \"head\" has 80; give states of the same model.", e.getMessage());
        }
    }

    @Test
    void statesWithoutAnOutputLayerAreRefused() throws IOException {
        CompressedMatrix matrix = matrix(plan(GroupPlan.DENSE, "16x80"));
        Path compressed = directory.resolve("words.safetensors");
        CompressedFile.write(compressed, List.of(new CompressedEntry(matrix, Map.of())), List.of(), Map.of(), Map.of());
        Path model = new TestGraph()
                .tokens("input_ids")
                .floats("head", rows(matrix), ROWS, COLUMNS)
                .node("Gather", "head input_ids", "x")
                .output("x", DataType.FLOAT, -1, -1, COLUMNS)
                .save(directory.resolve("model.onnx"));
        try (CompressedFile file = CompressedFile.open(compressed)) {
            Matrix hidden = Matrix.of("states", states, 6, COLUMNS);
            InvalidDataException e =
                    assertThrows(InvalidDataException.class, () -> new OnnxExport(file, model, hidden).close());
            assertTrue(
                    e.getMessage()
                            .endsWith("makes logits, so states would serve nothing; leave the hidden states out."),
                    e.getMessage());
        }
    }
}
