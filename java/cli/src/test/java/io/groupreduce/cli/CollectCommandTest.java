package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model that guesses that word i + 1 follows word i, over a text in which it does. */
final class CollectCommandTest {
    private static final int WORDS = 300;
    private static final int D = 16;

    @TempDir
    Path folder;

    private Path model;
    private Path tokenizer;
    private Path text;
    private Path output;

    @BeforeEach
    void files() throws Exception {
        float[] table = new float[WORDS * D];
        Random random = new Random(3);
        for (int i = 0; i < table.length; i++) {
            table[i] = (float) random.nextGaussian();
        }
        GraphProto.Builder graph = GraphProto.newBuilder()
                .setName("g")
                .addInput(value("input_ids", DataType.INT64, 0, 0))
                .addInitializer(matrix("table", table, 0, WORDS, D))
                .addInitializer(matrix("head", table, -D, WORDS, D))
                .addNode(node("Gather", "hidden", "table", "input_ids"))
                .addNode(node("Transpose", "turned", "head"))
                .addNode(node("MatMul", "logits", "hidden", "turned"))
                .addOutput(value("logits", DataType.FLOAT, 0, 0, WORDS));
        ModelProto.Builder onnx = ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                .setGraph(graph);
        model = Files.write(folder.resolve("model.onnx"), onnx.build().toByteArray());
        String words =
                IntStream.range(0, WORDS).mapToObj(w -> "\"w" + w + "\": " + w).collect(Collectors.joining(", "));
        tokenizer = Files.writeString(
                folder.resolve("tokenizer.json"),
                "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [], \"normalizer\": null,"
                        + " \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"post_processor\": null, \"decoder\": null,"
                        + " \"model\": {\"type\": \"WordLevel\", \"vocab\": {" + words + "}, \"unk_token\": \"w0\"}}");
        text = Files.writeString(
                folder.resolve("text.txt"),
                IntStream.range(0, 2000).mapToObj(w -> "w" + w % WORDS).collect(Collectors.joining(" ")));
        output = folder.resolve("hidden.safetensors");
    }

    /** Row i of a matrix of numbers that go round and begin at {@code shift}. */
    private static TensorProto matrix(String name, float[] values, int shift, int rows, int columns) {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName(name)
                .setDataType(DataType.FLOAT.getNumber())
                .addDims(rows)
                .addDims(columns);
        for (int i = 0; i < values.length; i++) {
            tensor.addFloatData(values[Math.floorMod(i + shift, values.length)]);
        }
        return tensor.build();
    }

    private static NodeProto node(String type, String to, String... inputs) {
        return NodeProto.newBuilder()
                .setOpType(type)
                .addAllInput(List.of(inputs))
                .addOutput(to)
                .build();
    }

    /** Sides of 0 are free. */
    private static ValueInfoProto value(String name, DataType type, int... sides) {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        for (int side : sides) {
            TensorShapeProto.Dimension.Builder dimension = shape.addDimBuilder();
            if (side > 0) {
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

    private Shell.Outcome collect(Object... more) {
        Object[] all = new Object[] {"collect", model, text, "--tokenizer", tokenizer, "-o", output};
        return Shell.run(IntStream.range(0, all.length + more.length)
                .mapToObj(i -> i < all.length ? all[i] : more[i - all.length])
                .toArray());
    }

    @Test
    void whatItWritesCompressReads() throws Exception {
        Path counts = folder.resolve("counts.tsv");
        Shell.Outcome collected = collect("--json", "--states", 500, "--length", 50, "--counts-out", counts);
        assertEquals(0, collected.code(), collected.err());
        JsonNode json = collected.json();
        assertEquals(500, json.path("states").asInt());
        assertEquals("next_tokens", json.path("kind").asText());
        assertEquals("head", json.path("tensor").asText());
        Shell.Outcome compressed = Shell.run(
                "compress",
                model,
                "-o",
                folder.resolve("small.safetensors"),
                "--hidden",
                output,
                "--ratio",
                2,
                "--json");
        assertEquals(0, compressed.code(), compressed.err());
        Path alone = folder.resolve("alone.tsv");
        assertEquals(
                0,
                Shell.run("count", text, "--tokenizer", tokenizer, "-o", alone).code());
        assertEquals(-1, Files.mismatch(alone, counts));
        Shell.Outcome again = collect("--states", 500, "--length", 50);
        assertEquals(1, again.code());
        assertTrue(again.err().contains("exists already"), again.err());
    }

    @Test
    void whatIsWrongIsOneSentenceAndLeavesNothing() throws Exception {
        refused(2, "--states is -1; it must lie between", "--states", -1);
        refused(2, "--threads is 0; it must lie between", "--threads", 0);
        refused(1, "leave no room for text", "--length", 1);
        Files.writeString(text, "");
        refused(1, "is empty; give text");
        Files.delete(text);
        refused(1, "does not exist");
        text = model;
        refused(1, "is no text in UTF-8");
        output = tokenizer;
        assertEquals(1, collect("--force").code());
    }

    private void refused(int code, String sentence, Object... more) throws Exception {
        Shell.Outcome outcome = collect(more);
        assertEquals(code, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains(sentence), outcome.err());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
        try (var left = Files.list(folder)) {
            assertFalse(left.anyMatch(file -> file.toString().contains("hidden")));
        }
    }
}
