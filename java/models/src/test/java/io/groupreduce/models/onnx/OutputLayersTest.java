package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.bytes;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static io.groupreduce.models.onnx.TestGraph.transposed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.groupreduce.error.GroupReduceException;
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
    static final int ROWS = 40;
    static final int COLUMNS = 8;
    private static final float[] A = gaussian(1, ROWS * COLUMNS);

    @TempDir
    Path directory;

    static TestGraph hidden() {
        return new TestGraph().input("h", DataType.FLOAT, -1, COLUMNS).output("logits", DataType.FLOAT, -1, ROWS);
    }

    /** A as a MatMul takes it. */
    static TestGraph turned() {
        return hidden().floats("w", transposed(A, ROWS, COLUMNS), COLUMNS, ROWS);
    }

    static TestGraph straight() {
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
                        "a bias that goes by a second name",
                        g -> bias(g).node("Identity", "b", "c")
                                .node("MatMul", "h w", "x")
                                .node("Add", "x c", "logits"),
                        turned()),
                of(
                        "a bias of another type, behind a factor",
                        g -> g.initializer(
                                        tensor("b", DataType.FLOAT16, bytes(DataType.FLOAT16, gaussian(2, ROWS)), ROWS))
                                .node("Cast", "b", "c", attribute("to", 1L))
                                .scalar("s", .5f)
                                .node("MatMul", "h w", "x")
                                .node("Mul", "x s", "y")
                                .node("Add", "y c", "logits"),
                        turned()),
                of(
                        "Gemm with C by a second name",
                        g -> bias(g).node("Identity", "b", "c")
                                .node("Gemm", "h w c", "logits", attribute("transB", 1L)),
                        straight()),
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

    static TestGraph bias(TestGraph graph) {
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
}
