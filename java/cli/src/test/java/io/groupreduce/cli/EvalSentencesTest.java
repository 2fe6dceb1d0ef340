package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.ByteString;
import io.groupreduce.cli.Shell.Outcome;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code eval} of models that make vectors of sentences. */
class EvalSentencesTest {
    private static final int ROWS = 300;

    @TempDir
    Path directory;

    private Path model;
    private Path small;
    private Path tokenizer;
    private Path pairs;
    private Path text;

    @BeforeEach
    void makeModel() throws Exception {
        float[] table = Shell.matrix(1, ROWS);
        ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * table.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(table);
        GraphProto.Builder graph = GraphProto.newBuilder()
                .setName("graph")
                .addInput(value("input_ids", DataType.INT64, -1, -1))
                .addOutput(value("last_hidden_state", DataType.FLOAT, -1, -1, Shell.COLUMNS))
                .addInitializer(TensorProto.newBuilder()
                        .setName("words.weight")
                        .setDataType(DataType.FLOAT_VALUE)
                        .addDims(ROWS)
                        .addDims(Shell.COLUMNS)
                        .setRawData(ByteString.copyFrom(bytes)))
                .addNode(NodeProto.newBuilder()
                        .setOpType("Gather")
                        .addInput("words.weight")
                        .addInput("input_ids")
                        .addOutput("rows"))
                // A look-up alone would be no model.
                .addNode(NodeProto.newBuilder()
                        .setOpType("Softmax")
                        .addAttribute(AttributeProto.newBuilder()
                                .setName("axis")
                                .setType(AttributeProto.AttributeType.INT)
                                .setI(-1))
                        .addInput("rows")
                        .addOutput("last_hidden_state"));
        model = Files.write(
                directory.resolve("model.onnx"),
                ModelProto.newBuilder()
                        .setIrVersion(8)
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                        .setGraph(graph)
                        .build()
                        .toByteArray());
        tokenizer = tokenizer(ROWS);
        pairs = Files.writeString(
                directory.resolve("pairs.csv"),
                IntStream.range(0, 20)
                        .mapToObj(i -> "\"w" + i + " w" + 3 * i + "\",w" + (i + 7) + " w" + 2 * i + "," + i % 6)
                        .collect(Collectors.joining("\n")));
        text = Files.writeString(directory.resolve("text.txt"), "w1 w2 w3\nw4\n\nw5 w250\n");
        small = directory.resolve("small.safetensors");
        Outcome compressed = Shell.run("compress", model, "-o", small, "--ratio", "5", "--device", "cpu");
        assertEquals(0, compressed.code(), compressed.err());
    }

    private Path tokenizer(int size) throws Exception {
        String words =
                IntStream.range(0, size).mapToObj(w -> "\"w" + w + "\": " + w).collect(Collectors.joining(", "));
        return Files.writeString(
                directory.resolve("tokenizer.json"),
                "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [], \"normalizer\": null,"
                        + " \"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"post_processor\": null, \"decoder\": null,"
                        + " \"model\": {\"type\": \"WordLevel\", \"vocab\": {" + words + "}, \"unk_token\": \"w0\"}}");
    }

    private static ValueInfoProto value(String name, DataType type, long... shape) {
        TensorShapeProto.Builder sides = TensorShapeProto.newBuilder();
        for (long side : shape) {
            if (side < 0) {
                sides.addDimBuilder().setDimParam("n" + sides.getDimCount());
            } else {
                sides.addDimBuilder().setDimValue(side);
            }
        }
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(type.getNumber())
                                .setShape(sides)))
                .build();
    }

    private Outcome eval(Path file, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of("eval", file, "--reference", model));
        arguments.addAll(Arrays.asList(more));
        return Shell.run(arguments.toArray());
    }

    @Test
    void whatWasMeasuredIsPrintedAndStandsInPageAndCard() throws Exception {
        Path page = directory.resolve("report.html");
        Path card = directory.resolve("README.md");
        Object[] more = {
            "--tokenizer",
            tokenizer,
            "--pairs",
            pairs,
            "--sentences",
            text,
            "--report",
            page,
            "--card",
            card,
            "--base-model",
            "org/model"
        };
        Outcome outcome = eval(small, more);
        assertEquals(0, outcome.code(), outcome.err());
        List<String> lines = outcome.out().lines().toList();
        assertTrue(lines.get(0).startsWith("words.weight: 28.8 kB -> "), outcome.out());
        assertEquals("pooling: mean over all tokens of \"last_hidden_state\", as its outputs suggest", lines.get(1));
        assertTrue(lines.get(2).startsWith("cosine of 3 sentences: mean 0.9"), outcome.out());
        assertTrue(
                lines.get(3)
                        .matches("Spearman's correlation of 20 pairs, x 100: -?\\d+\\.\\d\\d -> -?\\d+\\.\\d\\d,"
                                + " [+-]\\d+\\.\\d\\d \\(95 %: [+-]\\d+\\.\\d\\d to [+-]\\d+\\.\\d\\d\\) \\(score in column 3,"
                                + " sentences in 1 and 2, no header\\)"),
                lines.get(3));
        assertEquals(4, lines.size());

        Outcome again = eval(small, more);
        assertEquals(1, again.code());
        assertTrue(again.err().contains("exists already"), again.err());
        List<Object> forced = new ArrayList<>(Arrays.asList(more));
        forced.addAll(List.of("--force", "--json", "--threads", "3"));
        JsonNode json = eval(small, forced.toArray()).json();
        assertEquals(3, json.path("sentences").asInt());
        assertEquals(20, json.path("pairs").asInt());
        assertEquals(
                json.path("spearmanAfter").asDouble()
                        - json.path("spearmanBefore").asDouble(),
                json.path("spearmanChange").asDouble(),
                1e-9);
        assertTrue(json.path("spearmanChangeInterval").get(0).asDouble()
                <= json.path("spearmanChange").asDouble());
        assertTrue(json.path("ratio").asDouble() >= 5);

        String readme = Files.readString(card);
        String html = Files.readString(page);
        String change = Texts.format("%+.2f", json.path("spearmanChange").asDouble());
        String mean = Texts.format("%.5f", json.path("meanCosine").asDouble());
        for (String written : List.of(readme, html)) {
            assertTrue(written.contains(change) && written.contains(mean), written);
            assertTrue(written.contains("words.weight") && written.contains("text.txt"), written);
            assertFalse(written.contains("Perplexity") || written.contains("NaN"), written);
        }
        assertTrue(readme.startsWith("---\nbase_model: \"org/model\"\n"), readme);
    }

    @Test
    void sectionsAreThereForWhatWasMeasured() throws Exception {
        Path card = directory.resolve("README.md");
        assertEquals(
                0,
                eval(model, "--tokenizer", tokenizer, "--sentences", text, "--card", card)
                        .code());
        String readme = Files.readString(card);
        assertTrue(readme.contains("| 1.00000 | 1.00000 | 1.00000 |"), readme);
        assertFalse(readme.contains("Spearman") || readme.contains("EmbeddingTable"), readme);
        assertTrue(readme.contains("Model with all of its data"), readme);
    }

    private void refused(int code, String part, Object... arguments) throws Exception {
        Path card = directory.resolve("README.md");
        List<Object> all = new ArrayList<>(Arrays.asList(arguments));
        all.addAll(List.of("--card", card));
        Outcome outcome = eval(small, all.toArray());
        assertEquals(code, outcome.code(), outcome.err());
        assertEquals("", outcome.out());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
        assertTrue(outcome.err().startsWith("groupreduce: ") && outcome.err().contains(part), outcome.err());
        assertFalse(Files.exists(card), "nothing half-written");
    }

    @Test
    void aCommandLineThatMakesNoSense() throws Exception {
        refused(2, "a model of sentences with --tokenizer");
        refused(2, "give one of the two", "--hidden", text, "--sentences", text);
        refused(2, "name it with --tokenizer", "--sentences", text);
        refused(2, "give --sentences FILE", "--tokenizer", tokenizer);
        refused(2, "three columns of --pairs", "--tokenizer", tokenizer, "--pairs", pairs, "--columns", "1,2");
        refused(2, "--counts and --tensor", "--tokenizer", tokenizer, "--pairs", pairs, "--tensor", "x");
        refused(2, "on the processor", "--tokenizer", tokenizer, "--pairs", pairs, "--device", "cuda");
        refused(2, "--threads is 0", "--tokenizer", tokenizer, "--pairs", pairs, "--threads", "0");
        refused(2, "no name of a hub", "--tokenizer", tokenizer, "--pairs", pairs, "--base-model", "a b/c");
        refused(2, "--pooling", "--tokenizer", tokenizer, "--pairs", pairs, "--pooling", "max");
    }

    @Test
    void filesThatAreWrong() throws Exception {
        Path one = Files.writeString(directory.resolve("one.csv"), "w1,w2,3\n");
        refused(1, "one.csv has 1 pair", "--tokenizer", tokenizer, "--pairs", one);
        refused(1, "no column \"s\"", "--tokenizer", tokenizer, "--pairs", pairs, "--columns", "s,1,2");
        refused(1, "does not exist", "--tokenizer", tokenizer, "--sentences", directory.resolve("none"));
        refused(1, "is no tokenizer.json", "--tokenizer", text, "--sentences", text);
        refused(1, "leave --pooling away", "--tokenizer", tokenizer, "--sentences", text, "--pooling", "none");
        refused(1, "has 301 tokens, but the embedding", "--tokenizer", tokenizer(ROWS + 1), "--sentences", text);
        tokenizer(ROWS);
        Path safetensors = Shell.model(directory);
        Outcome outcome =
                Shell.run("eval", small, "--reference", safetensors, "--tokenizer", tokenizer, "--sentences", text);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("model.safetensors is no ONNX model"), outcome.err());
        // An input is no output.
        refusedOutput(text);
        refusedOutput(tokenizer);
        refusedOutput(small);
        refusedOutput(model);
    }

    private void refusedOutput(Path input) throws Exception {
        byte[] before = Files.readAllBytes(input);
        Outcome outcome = eval(small, "--tokenizer", tokenizer, "--sentences", text, "--report", input, "--force");
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("another file of this run"), outcome.err());
        assertTrue(Arrays.equals(before, Files.readAllBytes(input)));
    }
}
