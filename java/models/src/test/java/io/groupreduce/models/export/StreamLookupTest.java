package io.groupreduce.models.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.onnx.TestGraph;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rows by token ids in standard operators, run by ONNX Runtime. */
class StreamLookupTest {
    @TempDir
    Path directory;

    private final Arena arena = Arena.ofAuto();

    private static TestGraph graph(CompressedMatrix matrix) {
        return new TestGraph()
                .tokens("input_ids")
                .gaussian("words", 1, matrix.rows(), matrix.columns())
                .node("Gather", "words input_ids", "x")
                .output("x", DataType.FLOAT, -1, -1, matrix.columns());
    }

    /** The graph with the matrix in place of its table. */
    private Path replaced(TestGraph graph, CompressedMatrix matrix) throws IOException {
        Path written = directory.resolve("out.onnx");
        try (OnnxFile file = OnnxFile.open(graph.save(directory.resolve("in.onnx")))) {
            GraphEditor editor = new GraphEditor(file);
            Replacement lookUp = new StreamLookup(matrix, arena);
            Places.find(file).forEach(place -> editor.replace(place, lookUp));
            editor.writer().write(written, path -> {});
        }
        return written;
    }

    private void check(CompressedMatrix matrix, TestGraph graph) throws IOException {
        try (OnnxFile before = OnnxFile.open(graph.save(directory.resolve("in.onnx")));
                OnnxFile after = OnnxFile.open(replaced(graph, matrix));
                PlacedRows rows = new PlacedRows(after, Places.find(before).getFirst())) {
            RowCheck check = RowCheck.of(rows, matrix);
            assertTrue(check.counted() >= Math.min(matrix.rows(), 1 << 14), check.counted() + " rows");
            assertTrue(check.worst() < 2e-6, "row " + check.worstRow() + ": " + check.worst());
            assertTrue(after.initializers().keySet().stream().noneMatch("words"::equals), "the table is still there");
        }
    }

    private Stream<CompressedMatrix> forms() {
        return Stream.of(
                StoredMatrix.usual(arena, "words"),
                // Bases of other ranks than rows have, scales of two bytes, right factors of every kind.
                new StoredMatrix(arena, 37)
                        .basis("4x37", 12, 37, ScaleFormat.BF16)
                        .basis("32x37", 5, 37, ScaleFormat.F32)
                        .basis("16x37", 20, 37, ScaleFormat.F32)
                        .basis("3x37", 9, 32, ScaleFormat.LOG8)
                        .group(0, "8x7", ScaleFormat.BF16, 900)
                        .group(1, "4x5", ScaleFormat.BF16, 300)
                        .group(2, "6x1.19", ScaleFormat.LOG8, 33)
                        .group(3, "5x9", ScaleFormat.LOG8, 1)
                        .build("words"),
                // Numbers that are no codes; the second dense ones are too small for binary16.
                new StoredMatrix(arena, 16)
                        .basis("8x16", 16, 16, ScaleFormat.BF16)
                        .group(0, "32x6", ScaleFormat.F32, 50)
                        .group(0, "16x16", ScaleFormat.F32, 50)
                        .dense("16x16", 16, ScaleFormat.F32, 1, 20)
                        .dense("16x16", 16, ScaleFormat.F32, 1e-6, 20)
                        .zero(5)
                        .build("words"),
                new StoredMatrix(arena, 16).zero(40).build("words"),
                // More rows than a block has.
                new StoredMatrix(arena, 8)
                        .basis("8x8", 8, 8, ScaleFormat.BF16)
                        .group(0, "3x8", ScaleFormat.LOG8, 70_000)
                        .group(0, "2x5", ScaleFormat.LOG8, 10)
                        .build("words"));
    }

    @Test
    void everyStoredFormGivesTheRowsOfTheMatrix() throws IOException {
        for (CompressedMatrix matrix : forms().toList()) {
            check(matrix, graph(matrix));
        }
    }

    @Test
    void everyOpsetFromElevenOnRunsAndOlderOnesAreRefused() throws IOException {
        CompressedMatrix matrix = StoredMatrix.usual(arena, "words");
        for (int opset : new int[] {11, 12, 13, 18, 21}) {
            check(matrix, graph(matrix).opset("", opset));
        }
        InvalidDataException refused = assertThrows(
                InvalidDataException.class, () -> replaced(graph(matrix).opset("", 10), matrix));
        assertTrue(
                refused.getMessage().contains("has operators of version 10 (opset), and 11 is needed"),
                refused.getMessage());
    }

    @Test
    void negativeIdsCountFromTheEndAsTheyDidBefore() throws IOException {
        CompressedMatrix matrix = StoredMatrix.usual(arena, "words");
        int last = matrix.rows() - 1;
        try (OnnxFile before = OnnxFile.open(graph(matrix).save(directory.resolve("in.onnx")));
                OnnxFile after = OnnxFile.open(replaced(graph(matrix), matrix));
                PlacedRows rows = new PlacedRows(after, Places.find(before).getFirst())) {
            assertEquals(
                    List.of(floats(rows.of(new int[] {last, 0}))), List.of(floats(rows.of(new int[] {-1, -last - 1}))));
            assertThrows(RuntimeException.class, () -> rows.of(new int[] {last + 1}));
        }
    }

    private static String floats(float[] values) {
        return Arrays.toString(values);
    }

    /** The stored codes are those of the compressed matrix, and what is there to find rows is two bytes a row and a small table. */
    @Test
    void whatIsStoredIsLittleMoreThanTheCodes() throws IOException {
        CompressedMatrix matrix = new StoredMatrix(arena, 64)
                .basis("8x64", 64, 32, ScaleFormat.BF16)
                .group(0, "5x4.10.20.20.10", ScaleFormat.LOG8, 4000)
                .group(0, "3x4.10.20", ScaleFormat.LOG8, 4000)
                .build("words");
        long codes = matrix.bytes() - matrix.headerBytes();
        long after = Files.size(replaced(graph(matrix), matrix));
        assertTrue(after < codes + 2 * matrix.rows() + 12_000, after + " bytes for " + codes);
    }

    @Test
    void aTableThatIsUsedTwiceIsStoredOnce() throws IOException {
        CompressedMatrix matrix = StoredMatrix.usual(arena, "words");
        long once = Files.size(replaced(graph(matrix), matrix));
        TestGraph twice = graph(matrix)
                .tokens("decoder_input_ids")
                .node("Gather", "words decoder_input_ids", "y")
                .output("y", DataType.FLOAT, -1, -1, matrix.columns());
        check(matrix, twice);
        long again = Files.size(replaced(twice, matrix));
        assertTrue(again < once + 20_000, again + " instead of " + once);
    }

    @Test
    void scalesOfBinary32AreRefused() {
        CompressedMatrix matrix = new StoredMatrix(arena, 8)
                .basis("8x8", 8, 8, ScaleFormat.BF16)
                .group(0, "4x8", ScaleFormat.F32, 20)
                .build("words");
        InvalidDataException refused = assertThrows(InvalidDataException.class, () -> new StreamLookup(matrix, arena));
        assertTrue(refused.getMessage().contains("\"words\" has scales of 32 bits"), refused.getMessage());
    }
}
