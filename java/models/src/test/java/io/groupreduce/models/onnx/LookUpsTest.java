package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static io.groupreduce.models.onnx.TestGraph.transposed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.Model;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which tables token ids choose rows from. */
class LookUpsTest {
    private static final int ROWS = 40;
    private static final int COLUMNS = 8;

    @TempDir
    Path directory;

    private static TestGraph vectors() {
        return new TestGraph().output("x", DataType.FLOAT, -1, -1, COLUMNS);
    }

    private List<Place> places(TestGraph graph) throws IOException {
        try (OnnxFile opened = OnnxFile.open(graph.save(directory.resolve("m.onnx")))) {
            return Places.find(opened);
        }
    }

    private List<String> tensors(TestGraph graph) throws IOException {
        return places(graph).stream().map(Place::tensor).toList();
    }

    @Test
    void tokensAreToldByNamesBeforeSizes() throws IOException {
        TestGraph graph = vectors()
                .tokens("input_ids")
                .tokens("token_type_ids")
                .tokens("position_ids")
                .gaussian("words", 1, ROWS, COLUMNS)
                .gaussian("types", 2, 2, COLUMNS)
                .gaussian("positions", 3, 2 * ROWS, COLUMNS)
                .node("Gather", "words input_ids", "w")
                .node("Gather", "types token_type_ids", "t")
                .node("Gather", "positions position_ids", "p")
                .node("Add", "w t", "wt")
                .node("Add", "wt p", "x");
        assertEquals(List.of("words"), tensors(graph));
        try (Model model = Model.open(directory.resolve("m.onnx"))) {
            assertEquals(
                    "\"positions\" is not compressed: it is chosen from by input \"position_ids\", which does not seem"
                            + " to hold tokens.",
                    model.vocabularyMatrix("positions").orElseThrow().sentence());
            assertEquals(List.of("words"), model.matrices());
        }
    }

    @Test
    void numbersThatTheGraphMakesAreNoTokens() throws IOException {
        TestGraph graph = vectors()
                .tokens("input_ids")
                .gaussian("words", 1, ROWS, COLUMNS)
                .gaussian("positions", 3, 2 * ROWS, COLUMNS)
                .scalar("zero", 0)
                .longs("axis", 1)
                .node("Cast", "input_ids", "small", attribute("to", DataType.INT32.getNumber()))
                .node("Unsqueeze", "small axis", "more")
                .node("Gather", "words more", "w")
                .node("CumSum", "input_ids axis", "where")
                .node("Gather", "positions where", "p")
                .node("Add", "w p", "x");
        List<Place> places = places(graph);
        assertEquals(List.of("words"), places.stream().map(Place::tensor).toList());
        assertEquals("more", places.get(0).input());
        assertEquals("w", places.get(0).output());
    }

    @Test
    void withoutNamesLogitsTellAndThenTheSize() throws IOException {
        TestGraph tables = new TestGraph()
                .tokens("a")
                .tokens("b")
                .gaussian("first", 1, ROWS, COLUMNS)
                .gaussian("second", 2, 2 * ROWS, COLUMNS)
                .node("Gather", "first a", "x")
                .node("Gather", "second b", "y")
                .output("y", DataType.FLOAT, -1, -1, COLUMNS);
        TestGraph withLogits = new TestGraph()
                .tokens("a")
                .tokens("b")
                .gaussian("first", 1, ROWS, COLUMNS)
                .gaussian("second", 2, 2 * ROWS, COLUMNS)
                .gaussian("head", 2, COLUMNS, ROWS)
                .node("Gather", "first a", "x")
                .node("Gather", "second b", "y")
                .node("Add", "x y", "z")
                .node("MatMul", "z head", "logits")
                .output("logits", DataType.FLOAT, -1, -1, ROWS);
        assertEquals(List.of("first", "head"), tensors(withLogits));
        assertEquals(List.of("second"), tensors(tables));
        try (Model model = Model.open(directory.resolve("m.onnx"))) {
            assertEquals(
                    List.of(
                            "\"first\" is not compressed: it is chosen from by input \"a\" and has fewer rows than another"
                                    + " one.",
                            "\"second\" is compressed as an embedding: it is chosen from by input \"b\", the tallest such."),
                    model.vocabulary().stream().map(found -> found.sentence()).toList());
            assertTrue(model.vocabulary().stream().allMatch(found -> found.isWorthAWord()));
        }
        VocabularyChoice choice = new VocabularyChoice(null, "first", null);
        try (Model model = Model.open(directory.resolve("m.onnx"), choice)) {
            assertEquals(List.of("first"), model.matrices());
        }
    }

    @Test
    void severalTablesMayServeOneVocabularyAndSeveralVocabulariesOneModel() throws IOException {
        TestGraph graph = vectors()
                .tokens("input_ids")
                .tokens("decoder_input_ids")
                .gaussian("words", 1, ROWS, COLUMNS)
                .gaussian("more", 2, ROWS, 2 * COLUMNS)
                .gaussian("others", 3, 3 * ROWS, COLUMNS)
                .node("Gather", "words input_ids", "a")
                .node("Gather", "more input_ids", "b")
                .node("Gather", "others decoder_input_ids", "c")
                .node("Add", "a c", "x");
        assertEquals(List.of("words", "more", "others"), tensors(graph));
    }

    @Test
    void codesThatAreDequantisedAreOnePlace() throws IOException {
        TestGraph after = vectors()
                .tokens("input_ids")
                .initializer(tensor("codes", DataType.UINT8, new byte[ROWS * COLUMNS], ROWS, COLUMNS))
                .scalar("scale", 1)
                .initializer(tensor("zero", DataType.UINT8, new byte[1]))
                .node("Gather", "codes input_ids", "c")
                .node("DequantizeLinear", "c scale zero", "x");
        TestGraph before = vectors()
                .tokens("input_ids")
                .initializer(tensor("codes", DataType.INT8, new byte[ROWS * COLUMNS], ROWS, COLUMNS))
                .scalar("scale", 1)
                .node("DequantizeLinear", "codes scale", "table")
                .node("Gather", "table input_ids", "x");
        TestGraph packed = vectors()
                .tokens("input_ids")
                .initializer(tensor("codes", DataType.UINT8, new byte[ROWS * COLUMNS / 2], ROWS, COLUMNS / 2))
                .gaussian("scale", 1, ROWS, 1)
                .node("com.microsoft", "GatherBlockQuantized", "codes input_ids scale", "x", attribute("bits", 4L));
        assertEquals("[codes, quantised (codes of type uint8), x, [Gather, DequantizeLinear]]", shown(after));
        assertEquals("[codes, quantised (codes of type int8), x, [DequantizeLinear, Gather]]", shown(before));
        assertEquals("[codes, quantised (4 bits, GatherBlockQuantized), x, [GatherBlockQuantized]]", shown(packed));
    }

    private String shown(TestGraph graph) throws IOException {
        Place place = places(graph).get(0);
        assertEquals(ROWS, place.rows());
        assertEquals(COLUMNS, place.columns());
        assertEquals(DataType.FLOAT, place.type());
        return List.of(
                        place.tensor(),
                        place.quantised(),
                        place.output(),
                        place.nodes().stream().map(NodeProto::getOpType).toList())
                .toString();
    }

    @Test
    void tiedMatricesAreOneHoweverTheyAreStored() throws IOException {
        float[] table = gaussian(1, ROWS * COLUMNS);
        TestGraph one = tied().floats("e", table, ROWS, COLUMNS)
                .node("Transpose", "e", "t")
                .node("MatMul", "x t", "logits");
        TestGraph two = tied().floats("e", table, ROWS, COLUMNS)
                .floats("t", transposed(table, ROWS, COLUMNS), COLUMNS, ROWS)
                .node("MatMul", "x t", "logits");
        for (TestGraph graph : List.of(one, two)) {
            try (Model model = Model.open(graph.save(directory.resolve("m.onnx")))) {
                assertEquals(List.of("e"), model.matrices());
                assertTrue(model.servesAsOutput("e"));
                assertEquals(graph == one ? Map.of() : Map.of("t", "e"), model.duplicates());
                assertArrayEquals(table, model.tensors().get("e").floats());
                assertArrayEquals(
                        new long[] {ROWS, COLUMNS},
                        model.tensors().get(graph == one ? "e" : "t").shape());
            }
        }
        try (OnnxFile opened = OnnxFile.open(one.save(directory.resolve("m.onnx")))) {
            assertEquals(2, Places.find(opened).size());
        }
    }

    private static TestGraph tied() {
        return new TestGraph()
                .tokens("input_ids")
                .node("Gather", "e input_ids", "x")
                .output("logits", DataType.FLOAT, -1, -1, ROWS);
    }

    @Test
    void whatIsOutOfReachIsSaid() throws IOException {
        TestGraph fused = vectors()
                .input("input_ids", DataType.INT32, -1, -1)
                .gaussian("words", 1, ROWS, COLUMNS)
                .node("com.microsoft", "EmbedLayerNormalization", "input_ids - words", "x");
        TestGraph branch =
                new TestGraph().node("Gather", "words input_ids", "y").output("y", DataType.FLOAT);
        TestGraph merged = vectors()
                .tokens("input_ids")
                .input("use_cache", DataType.BOOL)
                .gaussian("words", 1, ROWS, COLUMNS)
                .node(
                        "If",
                        "use_cache",
                        "x",
                        attribute("then_branch", branch.graph()),
                        attribute("else_branch", branch.graph()));
        for (TestGraph graph : List.of(fused, merged)) {
            try (Model model = Model.open(graph.save(directory.resolve("m.onnx")))) {
                assertEquals(List.of(), model.matrices());
                String why = model.vocabularyMatrix("words").orElseThrow().why();
                assertTrue(
                        why.contains(graph == fused ? "a fused EmbedLayerNormalization" : "a branch of a node \"If\""),
                        why);
            }
        }
    }
}
