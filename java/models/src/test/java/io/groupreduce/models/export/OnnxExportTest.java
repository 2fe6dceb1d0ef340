package io.groupreduce.models.export;

import static io.groupreduce.models.onnx.TestGraph.bytes;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.OnnxWriter;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.onnx.TestGraph;
import io.groupreduce.models.run.Runner;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compressed matrices in the models that they belong to. */
class OnnxExportTest {
    private static final int[][] TOKENS = {{0, 5, 7, 9}, {865, 3, 3, 100}};

    @TempDir
    Path directory;

    private final Arena arena = Arena.ofAuto();
    private CompressedMatrix matrix;
    private float[] table;
    private Path compressed;
    private Path model;
    private Path output;

    @BeforeEach
    void compress() {
        matrix = StoredMatrix.usual(arena, "words");
        table = StoredMatrix.rows(matrix);
        // What the matrix was before.
        Random random = new Random(3);
        for (int i = 0; i < table.length; i++) {
            table[i] += (float) (0.5 * random.nextGaussian());
        }
        compressed = directory.resolve("small.safetensors");
        model = directory.resolve("model.onnx");
        output = directory.resolve("small.onnx");
        CompressedFile.write(compressed, List.of(new CompressedEntry(matrix, Map.of())), List.of(), Map.of(), Map.of());
    }

    /** A table of words and the look-up of its rows, which makes x. */
    private TestGraph lookUp(DataType type, float[] values) {
        return new TestGraph()
                .tokens("input_ids")
                .initializer(tensor("words", type, bytes(type, values), matrix.rows(), matrix.columns()))
                .node("Gather", "words input_ids", "x");
    }

    /** The rest of a model, which makes y of x. */
    private void save(TestGraph graph, DataType type) throws IOException {
        graph.initializer(tensor(
                        "next", type, bytes(type, TestGraph.gaussian(4, 6 * matrix.columns())), matrix.columns(), 6))
                .node("MatMul", "x next", "y")
                .output("y", type, -1, -1, 6)
                .save(model);
    }

    private OnnxExport.Result export(Path data) {
        try (CompressedFile file = CompressedFile.open(compressed);
                OnnxExport export = new OnnxExport(file, model)) {
            return export.write(output, data);
        }
    }

    private static float[] run(Path file) {
        try (Runner runner = Runner.open(file, 1)) {
            return runner.run(TOKENS, "y").floats();
        }
    }

    /** What the model gives with the compressed rows as its table. */
    private float[] expected() throws IOException {
        Path dense = directory.resolve("dense.onnx");
        Path own = model;
        model = dense;
        save(lookUp(DataType.FLOAT, StoredMatrix.rows(matrix)), DataType.FLOAT);
        model = own;
        float[] rows = run(dense);
        Files.delete(dense);
        return rows;
    }

    private static void near(float[] expected, float[] actual, double share) {
        assertEquals(expected.length, actual.length);
        double squares = 0;
        double apart = 0;
        for (int i = 0; i < expected.length; i++) {
            squares += expected[i] * expected[i];
            apart += Math.pow(expected[i] - actual[i], 2);
        }
        assertTrue(Math.sqrt(apart / squares) < share, apart + " of " + squares);
    }

    @Test
    void theWholeModelGoesOnWithTheCompressedRows() throws IOException {
        save(lookUp(DataType.FLOAT, table), DataType.FLOAT);
        OnnxExport.Result result = export(null);
        near(expected(), run(output), 1e-6);
        OnnxExport.Placed placed = result.matrices().getFirst();
        assertEquals("words", placed.tensor());
        assertEquals(4L * table.length, placed.bytesBefore());
        assertEquals(matrix.rows(), placed.counted());
        assertEquals(Files.size(model), result.bytesBefore());
        assertEquals(Files.size(output), result.bytes());
        assertTrue(placed.error() > 0.01 && placed.error() < 0.2, "" + placed.error());
        assertTrue(placed.added() > 0 && placed.added() < 1e-6, "" + placed.added());
        // Everything beside the matrix is there as it was.
        long rest = result.bytesBefore() - placed.bytesBefore();
        assertTrue(Math.abs(result.bytes() - placed.bytes() - rest) < 200, result + "");
    }

    @Test
    void theTypeThatTheGraphGoesOnWithStays() throws IOException {
        save(lookUp(DataType.FLOAT16, table), DataType.FLOAT16);
        export(null);
        near(expected(), run(output), 2e-3);
    }

    /** Eight bits, one scale for all numbers, as quantised models have it: the table has another name there. */
    @Test
    void aQuantisedBodyTakesTheMatrix() throws IOException {
        byte[] codes = new byte[table.length];
        float largest = 0;
        for (float value : table) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) (Math.round(table[i] / largest * 127) + 128);
        }
        TestGraph graph = new TestGraph()
                .opset("", 11)
                .tokens("input_ids")
                .initializer(tensor("words_quantized", DataType.UINT8, codes, matrix.rows(), matrix.columns()))
                .initializer(tensor("words_scale", DataType.FLOAT, bytes(DataType.FLOAT, largest / 127)))
                .initializer(tensor("words_zero_point", DataType.UINT8, new byte[] {(byte) 128}))
                .node("Gather", "words_quantized input_ids", "codes")
                .node("DequantizeLinear", "codes words_scale words_zero_point", "x");
        save(graph, DataType.FLOAT);
        assertEquals("words_quantized", export(null).matrices().getFirst().tensor());
        near(expected(), run(output), 1e-6);
        try (OnnxFile written = OnnxFile.open(output)) {
            assertFalse(written.initializers().keySet().stream().anyMatch(name -> name.startsWith("words_")));
        }
    }

    @Test
    void largerNumbersMayLieBesideTheModel() throws IOException {
        save(lookUp(DataType.FLOAT, table), DataType.FLOAT);
        Path data = directory.resolve("small.onnx.data");
        OnnxExport.Result result = export(data);
        assertEquals(Files.size(output) + Files.size(data), result.bytes());
        assertTrue(Files.size(data) > Files.size(output));
        near(expected(), run(output), 1e-6);
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(4, files.count());
        }
    }

    private void refused(String part) throws IOException {
        List<Path> before = files();
        GroupReduceException refused = assertThrows(InvalidDataException.class, () -> export(null));
        assertTrue(refused.getMessage().contains(part), refused.getMessage());
        assertEquals(before, files());
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.sorted().toList();
        }
    }

    @Test
    void aMatrixThatDoesNotBelongToTheModelIsRefused() throws IOException {
        save(lookUp(DataType.FLOAT, TestGraph.gaussian(9, table.length)), DataType.FLOAT);
        refused("holds other numbers in \"words\" than the compressed \"words\"");
        save(
                new TestGraph()
                        .tokens("input_ids")
                        .gaussian("words", 1, 70, matrix.columns())
                        .node("Gather", "words input_ids", "x"),
                DataType.FLOAT);
        refused("has no place for the compressed \"words\" of " + compressed
                + ", [866, 40]: its vocabulary has \"words\" [70, 40]");
        save(new TestGraph().input("x", DataType.FLOAT, -1, -1, matrix.columns()), DataType.FLOAT);
        refused("it has no matrix of a vocabulary");
    }

    @Test
    void aTableThatWouldStayInTheModelIsRefused() throws IOException {
        save(
                lookUp(DataType.FLOAT, table)
                        .node("ReduceMean", "words", "mean")
                        .output("mean", DataType.FLOAT, 1, 1),
                DataType.FLOAT);
        refused("the tensor \"words\" also serves \"ReduceMean\"");
    }

    @Test
    void operatorsThatAreTooOldAreRefused() throws IOException {
        save(lookUp(DataType.FLOAT, table).opset("", 9), DataType.FLOAT);
        refused("has operators of version 9 (opset), and 11 is needed; export the model again with opset 11");
    }

    /** The check that stands before every file's name. */
    @Test
    void rowsOfAnotherMatrixAreFarOff() throws IOException {
        save(lookUp(DataType.FLOAT, table), DataType.FLOAT);
        export(null);
        CompressedMatrix other = new StoredMatrix(arena, matrix.columns())
                .dense("8x40", 40, ScaleFormat.BF16, 1, matrix.rows())
                .build("words");
        try (OnnxFile before = OnnxFile.open(model);
                OnnxFile after = OnnxFile.open(output);
                PlacedRows rows = new PlacedRows(after, Places.find(before).getFirst())) {
            assertTrue(RowCheck.of(rows, matrix).worst() < 1e-5);
            assertTrue(RowCheck.of(rows, other).worst() > 0.5);
            assertTrue(RowCheck.of(rows, other).nearness() > 0.9);
        }
    }

    @Test
    @SuppressWarnings("restricted") // Nothing is read of it.
    void aDiskWithoutRoomIsToldBeforeAnythingIsWritten() throws IOException {
        save(lookUp(DataType.FLOAT, table), DataType.FLOAT);
        List<Path> before = files();
        try (OnnxFile file = OnnxFile.open(model)) {
            MemorySegment endless = MemorySegment.NULL.reinterpret(1L << 60);
            OnnxWriter writer = new OnnxWriter(file.model(), Map.of("words", endless));
            Path data = directory.resolve("small.onnx.data");
            FileAccessException full =
                    assertThrows(FileAccessException.class, () -> writer.write(output, data, path -> {}));
            assertTrue(full.getMessage().contains(" needs " + (1L << 60) + " bytes"), full.getMessage());
        }
        assertEquals(before, files());
    }

    /** Of one row in the middle, with good ones behind it. */
    @Test
    void whatIsNoNumberIsFarOff() throws IOException {
        float[] rows = StoredMatrix.rows(matrix);
        rows[5 * matrix.columns()] = Float.NaN;
        save(lookUp(DataType.FLOAT, rows), DataType.FLOAT);
        try (OnnxFile file = OnnxFile.open(model);
                PlacedRows given = new PlacedRows(file, Places.find(file).getFirst())) {
            RowCheck check = RowCheck.of(given, matrix);
            assertTrue(Double.isNaN(check.worst()));
            assertEquals(5, check.worstRow());
        }
    }

    /** The cast belongs to no place alone, and would keep the table in the model. */
    @Test
    void whatSeveralPlacesShareGoesWithTheLastOfThem() throws IOException {
        new TestGraph()
                .tokens("input_ids")
                .initializer(tensor(
                        "words", DataType.FLOAT16, bytes(DataType.FLOAT16, table), matrix.rows(), matrix.columns()))
                .node("Cast", "words", "wide", TestGraph.attribute("to", DataType.FLOAT.getNumber()))
                .node("Gather", "wide input_ids", "a")
                .node("Gather", "wide input_ids", "b")
                .node("Add", "a b", "y")
                .output("y", DataType.FLOAT, -1, -1, matrix.columns())
                .save(model);
        assertEquals(2, export(null).matrices().size());
        try (OnnxFile written = OnnxFile.open(output)) {
            assertFalse(written.initializers().containsKey("words"));
            assertTrue(written.model().getGraph().getNodeList().stream()
                    .noneMatch(node -> node.getOutputList().contains("wide")));
        }
    }

    @Test
    void whatFailsItsCheckLeavesNothing() throws IOException {
        save(lookUp(DataType.FLOAT, table), DataType.FLOAT);
        Path data = directory.resolve("small.onnx.data");
        Files.writeString(data, "earlier");
        List<Path> before = files();
        Consumer<Path> check = path -> {
            throw new InvalidDataException("no");
        };
        try (OnnxFile file = OnnxFile.open(model)) {
            OnnxWriter writer = new GraphEditor(file).writer();
            assertThrows(InvalidDataException.class, () -> writer.write(output, check));
            assertThrows(InvalidDataException.class, () -> writer.write(output, data, check));
        }
        assertEquals(before, files());
        assertEquals("earlier", Files.readString(data));
    }
}
