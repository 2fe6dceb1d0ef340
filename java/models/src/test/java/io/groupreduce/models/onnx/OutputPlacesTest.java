package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.OutputLayersTest.COLUMNS;
import static io.groupreduce.models.onnx.OutputLayersTest.ROWS;
import static io.groupreduce.models.onnx.OutputLayersTest.bias;
import static io.groupreduce.models.onnx.OutputLayersTest.hidden;
import static io.groupreduce.models.onnx.OutputLayersTest.straight;
import static io.groupreduce.models.onnx.OutputLayersTest.turned;
import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where a place begins and ends, and which of several layers are the vocabulary's. */
class OutputPlacesTest {
    @TempDir
    Path directory;

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
