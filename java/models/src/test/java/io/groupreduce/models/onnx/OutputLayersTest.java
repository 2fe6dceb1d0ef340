package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.bytes;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static io.groupreduce.models.onnx.TestGraph.transposed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Output layers in every form that exporters give them: what is read of a file makes the logits that ONNX Runtime makes. */
class OutputLayersTest {
    private static final int ROWS = 40;
    private static final int COLUMNS = 8;
    private static final float[] A = gaussian(1, ROWS * COLUMNS);

    @TempDir
    Path directory;

    private static TestGraph hidden() {
        return new TestGraph().input("h", DataType.FLOAT, -1, COLUMNS).output("logits", DataType.FLOAT, -1, ROWS);
    }

    /** A as a MatMul takes it. */
    private static TestGraph turned() {
        return hidden().floats("w", transposed(A, ROWS, COLUMNS), COLUMNS, ROWS);
    }

    private static TestGraph straight() {
        return hidden().floats("w", A, ROWS, COLUMNS);
    }

    private static TensorProto halves() {
        TensorProto.Builder halves = TensorProto.newBuilder()
                .setName("w")
                .setDataType(DataType.FLOAT16.getNumber())
                .addDims(ROWS)
                .addDims(COLUMNS);
        for (float value : A) {
            halves.addInt32Data(Short.toUnsignedInt(Float.floatToFloat16(value)));
        }
        return halves.build();
    }

    private static TensorProto floatData() {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName("w")
                .setDataType(DataType.FLOAT.getNumber())
                .addDims(COLUMNS)
                .addDims(ROWS);
        for (float value : transposed(A, ROWS, COLUMNS)) {
            tensor.addFloatData(value);
        }
        return tensor.build();
    }

    static Stream<Arguments> computable() {
        TensorProto constant =
                tensor("", DataType.FLOAT, bytes(DataType.FLOAT, transposed(A, ROWS, COLUMNS)), COLUMNS, ROWS);
        return Stream.of(
                of("MatMul", g -> g.node("MatMul", "h w", "logits"), turned()),
                of("MatMul, Add", g -> bias(g).node("MatMul", "h w", "x").node("Add", "x b", "logits"), turned()),
                of(
                        "Add of a bias that stands first",
                        g -> bias(g).node("MatMul", "h w", "x").node("Add", "b x", "logits"),
                        turned()),
                of(
                        "a bias [1, N]",
                        g -> g.gaussian("b", 2, 1, ROWS)
                                .node("MatMul", "h w", "x")
                                .node("Add", "x b", "logits"),
                        turned()),
                of(
                        "Transpose, MatMul",
                        g -> g.node("Transpose", "w", "t", attribute("perm", 1L, 0L))
                                .node("MatMul", "h t", "logits"),
                        straight()),
                of(
                        "Gemm transB with C",
                        g -> bias(g).node("Gemm", "h w b", "logits", attribute("transB", 1L)),
                        straight()),
                of("Gemm with alpha", g -> bias(g).node("Gemm", "h w b", "logits", attribute("alpha", .5f)), turned()),
                of("Gemm without C", g -> g.node("Gemm", "h w", "logits"), turned()),
                of("Mul", g -> g.scalar("s", .125f).node("MatMul", "h w", "x").node("Mul", "x s", "logits"), turned()),
                of(
                        "Mul of a scale that stands first",
                        g -> g.scalar("s", .125f).node("MatMul", "h w", "x").node("Mul", "s x", "logits"),
                        turned()),
                of(
                        "Div, then a bias",
                        g -> bias(g).scalar("s", 4)
                                .node("MatMul", "h w", "x")
                                .node("Div", "x s", "y")
                                .node("Add", "y b", "logits"),
                        turned()),
                of(
                        "soft cap",
                        g -> g.scalar("c", 3)
                                .node("MatMul", "h w", "x")
                                .node("Div", "x c", "y")
                                .node("Tanh", "y", "z")
                                .node("Mul", "z c", "logits"),
                        turned()),
                of(
                        "bias, scale in a soft cap",
                        g -> bias(g).scalar("c", 3)
                                .node("MatMul", "h w", "u")
                                .node("Add", "u b", "x")
                                .node("Div", "x c", "y")
                                .node("Tanh", "y", "z")
                                .node("Mul", "z c", "logits"),
                        turned()),
                of("Tanh alone", g -> g.node("MatMul", "h w", "x").node("Tanh", "x", "logits"), turned()),
                of(
                        "a number added to all",
                        g -> g.scalar("s", 0).node("MatMul", "h w", "x").node("Add", "x s", "logits"),
                        turned()),
                of(
                        "F16 that is cast",
                        g -> g.initializer(halves())
                                .node("Cast", "w", "f", attribute("to", 1L))
                                .node("Gemm", "h f", "logits", attribute("transB", 1L)),
                        hidden()),
                of(
                        "BF16 that is cast",
                        g -> g.initializer(tensor("w", DataType.BFLOAT16, bytes(DataType.BFLOAT16, A), ROWS, COLUMNS))
                                .node("Cast", "w", "f", attribute("to", 1L))
                                .node("Transpose", "f", "t")
                                .node("MatMul", "h t", "logits"),
                        hidden()),
                of(
                        "a Constant",
                        g -> g.node("Constant", "", "w", attribute("value", constant))
                                .node("MatMul", "h w", "logits"),
                        hidden()),
                of("float_data", g -> g.initializer(floatData()).node("MatMul", "h w", "logits"), hidden()),
                of(
                        "Reshape and Identity",
                        g -> g.longs("to", -1, ROWS)
                                .node("MatMul", "h w", "x")
                                .node("Reshape", "x to", "y")
                                .node("Identity", "y", "logits"),
                        turned()));
    }

    private static TestGraph bias(TestGraph graph) {
        return graph.gaussian("b", 2, ROWS);
    }

    private static Arguments of(String name, Function<TestGraph, TestGraph> nodes, TestGraph start) {
        return Arguments.of(name, nodes.apply(start));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource
    void computable(String name, TestGraph graph) throws IOException, OrtException {
        Path file = graph.save(directory.resolve("m.onnx"));
        float[] h = gaussian(3, 2 * COLUMNS);
        try (Model model = Model.open(file)) {
            assertEquals("w", model.outputMatrix());
            Matrix matrix = model.matrix("w");
            assertEquals(ROWS, matrix.rows());
            assertEquals(COLUMNS, matrix.columns());
            Logits logits = model.logits("w");
            assertNull(logits.unknown());
            assertArrayEquals(run(file, h), logits(matrix, logits, model.bias(logits), h), 1e-5f);
        }
    }

    private static float[] logits(Matrix matrix, Logits how, float[] bias, float[] h) {
        float[] logits = new float[h.length / COLUMNS * ROWS];
        float[] row = new float[COLUMNS];
        for (int i = 0; i < logits.length; i++) {
            matrix.readRow(i % ROWS, row, 0);
            double sum = 0;
            for (int c = 0; c < COLUMNS; c++) {
                sum += row[c] * h[i / ROWS * COLUMNS + c];
            }
            double logit = how.scale() * sum + (bias == null ? 0 : bias[i % ROWS]);
            logits[i] = (float) (how.cap() == 0 ? logit : how.cap() * Math.tanh(logit / how.cap()));
        }
        return logits;
    }

    private static float[] run(Path file, float[] h) throws OrtException {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession session = environment.createSession(file.toString());
                OnnxTensor input = OnnxTensor.createTensor(
                        environment, FloatBuffer.wrap(h), new long[] {h.length / COLUMNS, COLUMNS});
                OrtSession.Result result = session.run(Map.of("h", input))) {
            FloatBuffer values = ((OnnxTensor) result.get(0)).getFloatBuffer();
            float[] logits = new float[values.remaining()];
            values.get(logits);
            return logits;
        }
    }

    static Stream<Arguments> unknown() {
        return Stream.of(
                of("\"Relu\"", g -> g.node("MatMul", "h w", "x").node("Relu", "x", "logits"), turned()),
                of(
                        "multiplies its bias, too",
                        g -> bias(g).scalar("s", 2)
                                .node("MatMul", "h w", "x")
                                .node("Add", "x b", "y")
                                .node("Mul", "y s", "logits"),
                        turned()),
                of(
                        "not above 0",
                        g -> g.scalar("s", -1).node("MatMul", "h w", "x").node("Mul", "x s", "logits"),
                        turned()),
                of(
                        "\"Mul\"",
                        g -> g.gaussian("s", 4, ROWS).node("MatMul", "h w", "x").node("Mul", "x s", "logits"),
                        turned()),
                of("\"Div\"", g -> g.scalar("s", 2).node("MatMul", "h w", "x").node("Div", "s x", "logits"), turned()),
                of(
                        "bounds its logits twice",
                        g -> g.node("MatMul", "h w", "x").node("Tanh", "x", "y").node("Tanh", "y", "logits"),
                        turned()),
                of(
                        "\"Add\"",
                        g -> bias(g).node("MatMul", "h w", "x")
                                .node("Tanh", "x", "y")
                                .node("Add", "y b", "logits"),
                        turned()));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource
    void unknown(String reason, TestGraph graph) throws IOException {
        try (Model model = Model.open(graph.save(directory.resolve("m.onnx")))) {
            Logits logits = model.logits(model.outputMatrix());
            assertTrue(logits.unknown().contains(reason), logits.unknown());
        }
    }

    @Test
    void aPlaceEndsBeforeWhatOthersUse() throws IOException {
        TestGraph graph = bias(turned())
                .node("MatMul", "h w", "x")
                .node("Add", "x b", "logits")
                .output("x", DataType.FLOAT, -1, ROWS);
        Place place = only(graph);
        assertEquals("x", place.output());
        assertNull(place.bias());
        assertEquals(List.of("MatMul"), operators(place));

        TestGraph shared = bias(straight())
                .node("Transpose", "w", "t")
                .node("MatMul", "h t", "x")
                .node("Add", "x b", "logits")
                .node("ReduceSum", "t", "sum")
                .output("sum", DataType.FLOAT);
        place = only(shared);
        assertEquals("logits", place.output());
        assertEquals("b", place.bias());
        assertEquals(List.of("MatMul", "Add"), operators(place));
        assertEquals("ReduceSum", place.elsewhere());
    }

    @Test
    void partsOfPaddedVocabulariesAndChosenTokensAreLogitsToo() throws IOException {
        TestGraph cut = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .gaussian("w", 1, COLUMNS, ROWS)
                .longs("from", 0)
                .longs("to", ROWS - 3)
                .longs("axis", 1)
                .node("MatMul", "h w", "x")
                .node("Slice", "x from to axis", "logits")
                .output("logits", DataType.FLOAT, -1, ROWS - 3);
        assertEquals(ROWS, only(cut).rows());
        TestGraph chosen = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .gaussian("w", 1, COLUMNS, ROWS)
                .node("MatMul", "h w", "x")
                .node("LogSoftmax", "x", "p")
                .node("ArgMax", "p", "token", attribute("axis", 1L))
                .output("token", DataType.INT64, -1, 1);
        assertEquals(Logits.PLAIN, only(chosen).logits());
    }

    @Test
    void quantisedLayersAreToldByTheirOperators() throws IOException {
        TestGraph packed = hidden().initializer(tensor("w", DataType.UINT8, new byte[ROWS * 4], ROWS, 1, 4))
                .gaussian("s", 1, ROWS)
                .node(
                        "com.microsoft",
                        "MatMulNBits",
                        "h w s",
                        "logits",
                        attribute("N", ROWS),
                        attribute("K", COLUMNS),
                        attribute("bits", 4L));
        Place place = only(packed);
        assertEquals("quantised (4 bits, MatMulNBits)", place.quantised());
        assertEquals(COLUMNS, place.columns());

        TestGraph dynamic = hidden().initializer(tensor("w", DataType.INT8, new byte[ROWS * COLUMNS], COLUMNS, ROWS))
                .scalar("ws", 1)
                .node("", "DynamicQuantizeLinear", "h", "q s z")
                .node("MatMulInteger", "q w z", "i")
                .node("Cast", "i", "f", attribute("to", 1L))
                .node("Mul", "s ws", "both")
                .node("Mul", "f both", "x")
                .gaussian("b", 2, ROWS)
                .node("Add", "x b", "logits");
        place = only(dynamic);
        assertEquals("h", place.input());
        assertEquals("b", place.bias());
        assertEquals(List.of("DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul", "Add"), operators(place));
        assertEquals("quantised (codes of type int8)", place.quantised());
    }

    @Test
    void smallLayersAndInnerOnesAreNoOutputs() throws IOException {
        TestGraph graph = new TestGraph()
                .tokens("input_ids")
                .gaussian("e", 1, 100, COLUMNS)
                .gaussian("inner", 2, COLUMNS, 32)
                .gaussian("labels", 3, 32, 12)
                .node("Gather", "e input_ids", "x")
                .node("MatMul", "x inner", "y")
                .node("MatMul", "y labels", "z")
                .output("z", DataType.FLOAT, -1, -1, 12);
        Path file = graph.save(directory.resolve("m.onnx"));
        try (OnnxFile opened = OnnxFile.open(file)) {
            assertEquals(
                    List.of("e"),
                    Places.find(opened).stream().map(Place::tensor).toList());
        }
        try (Model model = Model.open(file)) {
            assertTrue(model.withoutOutput().orElseThrow().startsWith("its graph makes no logits"));
            assertEquals(
                    "makes output \"z\" of 12 numbers, fewer than there are tokens",
                    model.vocabularyMatrix("labels").orElseThrow().why());
            assertTrue(model.vocabularyMatrix("inner").isEmpty());
        }
    }

    @Test
    void aMatrixThatIsUsedTwiceHasTwoPlacesAndTwoMatricesAreNotChosenFrom() throws IOException {
        TestGraph twice = turned().input("g", DataType.FLOAT, -1, COLUMNS)
                .output("more", DataType.FLOAT, -1, ROWS)
                .scalar("s", 2)
                .node("MatMul", "h w", "logits")
                .node("MatMul", "g w", "y")
                .node("Mul", "y s", "more");
        Path file = twice.save(directory.resolve("m.onnx"));
        try (OnnxFile opened = OnnxFile.open(file)) {
            List<Place> places = Places.find(opened);
            assertEquals(List.of("h", "g"), places.stream().map(Place::input).toList());
            assertNull(places.get(0).elsewhere());
        }
        try (Model model = Model.open(file)) {
            assertEquals(List.of("w"), model.matrices());
            assertEquals(
                    "the graph makes logits of it twice, and not in the same way",
                    model.logits("w").unknown());
        }
        TestGraph two = turned().output("more", DataType.FLOAT, -1, ROWS)
                .gaussian("v", 5, COLUMNS, ROWS)
                .node("MatMul", "h w", "logits")
                .node("MatMul", "h v", "more");
        try (Model model = Model.open(two.save(file))) {
            assertEquals(List.of("w", "v"), model.matrices());
            String message = assertThrows(InvalidDataException.class, model::outputMatrix)
                    .getMessage();
            assertTrue(
                    message.endsWith("each of \"w\", \"v\" may be the output; say which with --output-tensor."),
                    message);
        }
        try (Model model = Model.open(file, new VocabularyChoice("v", null, null))) {
            assertEquals("v", model.outputMatrix());
        }
    }

    @Test
    void nodesThatLackWhatTheyNeedAreRefusedOrLeftOut() throws IOException {
        for (Arguments each : computable().toList()) {
            ModelProto good = ((TestGraph) each.get()[1]).build();
            for (int n = 0; n < good.getGraph().getNodeCount(); n++) {
                NodeProto node = good.getGraph().getNode(n);
                for (NodeProto.Builder worse : List.of(
                        node.toBuilder().clearInput(),
                        node.toBuilder().clearOutput(),
                        node.toBuilder().clearInput().addInput("").addInput("nothing"),
                        node.toBuilder()
                                .clearInput()
                                .addAllInput(node.getInputList().subList(0, node.getInputCount() / 2)),
                        node.toBuilder().clearAttribute())) {
                    ModelProto.Builder bad = good.toBuilder();
                    bad.getGraphBuilder().setNode(n, worse);
                    try (Model model = Model.open(
                            Files.write(directory.resolve("m.onnx"), bad.build().toByteArray()))) {
                        model.matrices().forEach(model::logits);
                    } catch (GroupReduceException e) {
                        assertTrue(e.getMessage().endsWith("."), e.getMessage());
                    }
                }
            }
        }
    }

    private Place only(TestGraph graph) throws IOException {
        try (OnnxFile opened = OnnxFile.open(graph.save(directory.resolve("m.onnx")))) {
            List<Place> places = Places.find(opened);
            assertEquals(1, places.size());
            return places.get(0);
        }
    }

    private static List<String> operators(Place place) {
        return place.nodes().stream().map(NodeProto::getOpType).toList();
    }
}
