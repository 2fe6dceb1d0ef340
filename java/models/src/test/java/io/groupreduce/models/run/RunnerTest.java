package io.groupreduce.models.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.TestGraph;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class RunnerTest {
    private static final int N = 50;
    private static final int D = 8;

    @TempDir
    Path folder;

    @Test
    void aCutGraphGivesWhatTheWholeOneComputesWithoutWhatItDoesNotNeed() throws IOException {
        Path file = write(model());
        int[][] tokens = {{3, 1, 4, 1, 5}, {9, 2, 6, 5, 3}};
        try (OnnxFile onnx = OnnxFile.open(file);
                Runner whole = Runner.open(file, 1)) {
            assertTrue(onnx.numbers().containsKey("table"), "its numbers are to come from the mapping");
            ModelProto cut = GraphCut.cut(onnx.model(), List.of("rows"), List.of());
            assertEquals(1, cut.getGraph().getNodeCount());
            assertEquals(1, cut.getGraph().getInputCount());
            try (Runner part = Runner.open(onnx, cut, 1);
                    Runner same = Runner.open(onnx, onnx.model(), 1)) {
                Runner.Values rows = part.run(tokens, "rows");
                assertArrayEquals(new long[] {2, 5, D}, rows.shape());
                assertArrayEquals(table(3), Arrays.copyOf(rows.floats(), D));
                Runner.Values logits = whole.run(tokens, "logits");
                assertEquals(N, logits.columns());
                assertArrayEquals(logits.floats(), same.run(tokens, "logits").floats());
            }
        }
    }

    /** A file with holes: no disk is needed, and only the rows that are looked up are read. */
    @Test
    void aTableOfMoreThanTwoGigabytesIsReadWhereItLies() throws IOException {
        int columns = 4096;
        int rows = 140_000;
        long length = 4L * columns * rows;
        Path data = folder.resolve("large.onnx.data");
        try (FileChannel channel = FileChannel.open(
                data, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE)) {
            ByteBuffer last =
                    ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, 2.5f);
            channel.write(last, length - 4);
        }
        TensorProto table = TensorProto.newBuilder()
                .setName("words")
                .setDataType(DataType.FLOAT.getNumber())
                .addDims(rows)
                .addDims(columns)
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addExternalData(TestGraph.entry("location", "large.onnx.data"))
                .addExternalData(TestGraph.entry("length", Long.toString(length)))
                .build();
        Path file = new TestGraph()
                .tokens("input_ids")
                .initializer(table)
                .node("Gather", "words input_ids", "x")
                .output("x", DataType.FLOAT, -1, -1, columns)
                .save(folder.resolve("large.onnx"));
        try (OnnxFile onnx = OnnxFile.open(file);
                Runner runner = Runner.open(onnx, onnx.model(), 1)) {
            float[] row = runner.run(new int[][] {{rows - 1}}, "x").floats();
            assertEquals(2.5f, row[columns - 1]);
        }
    }

    @Test
    void aValueCanTakeThePlaceOfWhatComputesIt() {
        ModelProto.Builder model = model();
        ValueInfoProto rows = input("rows", DataType.FLOAT, -1, -1, D);
        ModelProto cut = GraphCut.cut(model.build(), List.of("logits"), List.of(rows));
        List<String> inputs = cut.getGraph().getInputList().stream()
                .map(ValueInfoProto::getName)
                .toList();
        assertEquals(List.of("rows", "attention_mask"), inputs);
        assertEquals(
                List.of("axis", "head"),
                cut.getGraph().getInitializerList().stream()
                        .map(TensorProto::getName)
                        .toList());
    }

    @Test
    void shorterSequencesAreFilledUpBehindTheMask() throws IOException {
        try (Runner runner = Runner.open(write(model()), 1)) {
            assertEquals(-1, runner.length());
            float[] both = runner.run(new int[][] {{3, 1, 4}, {9}}, "logits").floats();
            float[] alone = runner.run(new int[][] {{9}}, "logits").floats();
            assertArrayEquals(alone, Arrays.copyOfRange(both, 3 * N, 4 * N));
            assertArrayEquals(new float[2 * N], Arrays.copyOfRange(both, 4 * N, 6 * N));
        }
    }

    @Test
    void everyInputIsFedByItsNameAndTypeAndTheCacheIsEmpty() throws IOException {
        ModelProto.Builder model = model();
        GraphProto.Builder graph = model.getGraphBuilder();
        graph.addInput(input("past_key_values.0.key", DataType.FLOAT, -1, 2, -1, 3))
                .addInput(input("position_ids", DataType.INT32, -1, -1))
                .addInput(input("token_type_ids", DataType.INT64, -1, -1))
                .addInput(input("use_cache_branch", DataType.BOOL, 1));
        for (String name : List.of("position_ids", "token_type_ids", "use_cache_branch")) {
            graph.addNode(cast(name, name + ".float")).addOutput(value(name + ".float"));
        }
        graph.addNode(node("Shape", "past.shape", "past_key_values.0.key"))
                .addNode(cast("past.shape", "past.float"))
                .addOutput(value("past.float"));
        try (Runner runner = Runner.open(write(model), 1)) {
            List<Runner.Values> values = runner.run(
                    new int[][] {{3, 1, 4}, {1, 5, 9}},
                    List.of("past.float", "position_ids.float", "token_type_ids.float", "use_cache_branch.float"));
            assertArrayEquals(new float[] {2, 2, 0, 3}, values.get(0).floats());
            assertArrayEquals(new float[] {0, 1, 2, 0, 1, 2}, values.get(1).floats());
            assertArrayEquals(new float[6], values.get(2).floats());
            assertArrayEquals(new float[1], values.get(3).floats());
        }
    }

    @Test
    void inputsThatAreNotUnderstoodAreNamedWithTheirShapes() {
        ModelProto.Builder images = model();
        images.getGraphBuilder().addInput(input("pixel_values", DataType.FLOAT, -1, 3, 224, 224));
        String refused = refusal(images);
        assertTrue(refused.contains("\"pixel_values\", FLOAT [-1, 3, 224, 224]"), refused);
        ModelProto.Builder fixed = model();
        fixed.getGraphBuilder().addInput(input("past_key", DataType.FLOAT, 1, 2, 64, 3));
        assertTrue(refusal(fixed).contains("\"past_key\", FLOAT [1, 2, 64, 3]"));
        ModelProto.Builder full = model();
        full.getGraphBuilder().addInput(input("past_key", DataType.FLOAT, -1, 2, 64, 3));
        assertTrue(refusal(full).contains("\"past_key\", FLOAT [-1, 2, 64, 3]"));
        ModelProto.Builder none = model();
        none.getGraphBuilder().getInputBuilder(0).setName("token_type_ids");
        none.getGraphBuilder().getNodeBuilder(0).setInput(1, "token_type_ids");
        assertTrue(refusal(none).contains("takes token ids [batch, length]"));
    }

    @Test
    void sequencesThatDoNotFitAreRefused() throws IOException {
        ModelProto.Builder model = model();
        model.getGraphBuilder().setInput(0, input("input_ids", DataType.INT64, 1, 4));
        try (Runner runner = Runner.open(write(model), 1)) {
            assertEquals(4, runner.length());
            assertEquals(4 * N, runner.run(new int[][] {{1, 2}}, "logits").floats().length);
            assertThrows(InvalidDataException.class, () -> runner.run(new int[][] {{1, 2, 3, 4, 5}}, "logits"));
            assertThrows(InvalidDataException.class, () -> runner.run(new int[][] {{1}, {2}}, "logits"));
        }
    }

    @Test
    void whatTheRuntimeSaysIsOneLine() throws IOException {
        try (Runner runner = Runner.open(write(model()), 1)) {
            DeviceException e = assertThrows(DeviceException.class, () -> runner.run(new int[][] {{N}}, "logits"));
            assertTrue(e.getMessage().contains("cannot be run by ONNX Runtime: "), e.getMessage());
            assertEquals(1, e.getMessage().lines().count());
        }
        ModelProto.Builder model = model();
        model.getGraphBuilder().addNode(node("NoSuchOperator", "nothing", "rows"));
        assertTrue(refusal(model).contains("NoSuchOperator"));
    }

    private String refusal(ModelProto.Builder model) {
        return assertThrows(InvalidDataException.class, () -> Runner.open(write(model), 1)
                        .close())
                .getMessage();
    }

    /** logits = table[input_ids] head, 0 where the mask is. */
    private static ModelProto.Builder model() {
        GraphProto.Builder graph = GraphProto.newBuilder()
                .setName("test")
                .addInput(input("input_ids", DataType.INT64, -1, -1))
                .addInput(input("attention_mask", DataType.INT64, -1, -1))
                .addNode(node("Gather", "rows", "table", "input_ids"))
                .addNode(cast("attention_mask", "mask"))
                .addNode(node("Unsqueeze", "wide", "mask", "axis"))
                .addNode(node("Mul", "hidden", "rows", "wide"))
                .addNode(node("MatMul", "logits", "hidden", "head"))
                .addOutput(value("logits"));
        graph.addInitializer(TensorProto.newBuilder()
                .setName("axis")
                .setDataType(DataType.INT64.getNumber())
                .addDims(1)
                .addInt64Data(2));
        ByteBuffer table = ByteBuffer.allocate(4 * N * D).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < N; i++) {
            for (float value : table(i)) {
                table.putFloat(value);
            }
        }
        graph.addInitializer(matrix("table", N, D, table.flip()));
        graph.addInitializer(matrix("head", D, N, table.flip()));
        return ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                .setGraph(graph);
    }

    private static float[] table(int row) {
        Random random = new Random(row);
        float[] values = new float[D];
        for (int i = 0; i < D; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static TensorProto matrix(String name, int rows, int columns, ByteBuffer data) {
        return TensorProto.newBuilder()
                .setName(name)
                .setDataType(DataType.FLOAT.getNumber())
                .addDims(rows)
                .addDims(columns)
                .setRawData(ByteString.copyFrom(data))
                .build();
    }

    private static NodeProto node(String type, String output, String... inputs) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .addAllInput(List.of(inputs))
                .addOutput(output)
                .build();
    }

    private static NodeProto cast(String input, String output) {
        return node("Cast", output, input).toBuilder()
                .addAttribute(AttributeProto.newBuilder()
                        .setName("to")
                        .setType(AttributeProto.AttributeType.INT)
                        .setI(DataType.FLOAT.getNumber()))
                .build();
    }

    private static ValueInfoProto value(String name) {
        return ValueInfoProto.newBuilder().setName(name).build();
    }

    /** Sides below 0 are free. */
    private static ValueInfoProto input(String name, DataType type, long... sides) {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        for (long side : sides) {
            TensorShapeProto.Dimension.Builder dimension = shape.addDimBuilder();
            if (side >= 0) {
                dimension.setDimValue(side);
            }
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(type.getNumber())
                                .setShape(shape)))
                .build();
    }

    private Path write(ModelProto.Builder model) throws IOException {
        return Files.write(folder.resolve("model.onnx"), model.build().toByteArray());
    }
}
