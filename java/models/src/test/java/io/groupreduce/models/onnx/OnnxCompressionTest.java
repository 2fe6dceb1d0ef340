package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static io.groupreduce.models.onnx.TestGraph.transposed;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ONNX models through {@link GroupReduce#compress}, from the file to the file. */
class OnnxCompressionTest {
    private static final int ROWS = 300;
    private static final int COLUMNS = 48;
    private static final float[] TABLE = gaussian(1, ROWS * COLUMNS);

    @TempDir
    Path directory;

    private final List<String> told = new ArrayList<>();

    /** Tied as exporters store it, with a bias, and numbers in another file. */
    private Path tied() throws IOException {
        return new TestGraph()
                .tokens("input_ids")
                .floats("words", TABLE, ROWS, COLUMNS)
                .floats("head", transposed(TABLE, ROWS, COLUMNS), COLUMNS, ROWS)
                .gaussian("bias", 2, ROWS)
                .gaussian("body", 3, COLUMNS, COLUMNS)
                .scalar("quarter", .25f)
                .node("Gather", "words input_ids", "x")
                .node("MatMul", "x body", "y")
                .node("Tanh", "y", "h")
                .node("Mul", "h quarter", "small")
                .node("MatMul", "small head", "z")
                .node("Mul", "z quarter", "s")
                .node("Add", "s bias", "logits")
                .output("logits", DataType.FLOAT, -1, -1, ROWS)
                .save(directory.resolve("m.onnx"), "m.onnx_data", 1024);
    }

    private CompressedFile compress(Path model, VocabularyChoice choice, String... tensors) {
        Path output = directory.resolve("out.safetensors");
        CompressionJob job = new CompressionJob(
                model,
                output,
                List.of(tensors),
                choice,
                null,
                Map.of(),
                Map.of(),
                null,
                CompressionOptions.defaults().withTarget(SizeTarget.ratio(4)),
                false,
                true);
        try (Backend backend = BackendSelection.select(Device.CPU, 1).backend()) {
            GroupReduce.compress(job, backend, Progress.NONE, told::add);
        }
        return CompressedFile.open(output);
    }

    @Test
    void aTiedModelIsCompressedOnceWithItsBiasAndNothingElse() throws IOException {
        Path model = tied();
        try (CompressedFile file = compress(model, VocabularyChoice.NONE)) {
            assertEquals(Set.of("words"), file.matrices().keySet());
            assertEquals(Map.of("head", "words"), file.tied());
            assertEquals(Set.of("bias"), file.copied().keySet());
            assertEquals(new Logits(.25, "bias", 0, null), file.logits("words"));
            assertEquals(ROWS, file.matrices().get("words").rows());
        }
        String rest = "the rest stays in " + model + ", and 'groupreduce export " + directory.resolve("out.safetensors")
                + " --to onnx --model " + model + " -o OUT.onnx' puts them back.";
        assertEquals(1, told.stream().filter(line -> line.endsWith(rest)).count());
    }

    @Test
    void whatAUserNamesIsTaken() throws IOException {
        Path model = tied();
        try (CompressedFile file = compress(model, new VocabularyChoice("body", "words", null))) {
            assertEquals(Set.of("words", "body"), file.matrices().keySet());
            assertEquals(
                    "the graph gives its logits to no caller",
                    file.logits("body").unknown());
        }
        try (CompressedFile file = compress(model, VocabularyChoice.NONE, "head")) {
            assertEquals(ROWS, file.matrices().get("head").rows());
        }
        try (CompressedFile file = compress(model, new VocabularyChoice(null, null, "bias"))) {
            assertEquals("bias", file.logits("words").bias());
        }
        for (VocabularyChoice wrong : List.of(
                new VocabularyChoice(null, null, "body"),
                new VocabularyChoice("bias", null, null),
                new VocabularyChoice("none", null, null))) {
            String message = assertThrows(InvalidDataException.class, () -> compress(model, wrong)
                            .close())
                    .getMessage();
            assertTrue(message.startsWith(model.toString()), message);
        }
    }

    @Test
    void theModelAndItsDataAreNoOutput() throws IOException {
        Path model = tied();
        Path data = directory.resolve("m.onnx_data");
        byte[] before = Files.readAllBytes(data);
        CompressionJob job = new CompressionJob(
                model,
                data,
                List.of(),
                VocabularyChoice.NONE,
                null,
                Map.of(),
                Map.of(),
                null,
                CompressionOptions.defaults(),
                false,
                true);
        try (Backend backend = BackendSelection.select(Device.CPU, 1).backend()) {
            assertThrows(
                    InvalidDataException.class, () -> GroupReduce.compress(job, backend, Progress.NONE, told::add));
        }
        assertEquals(-1, Arrays.mismatch(before, Files.readAllBytes(data)));
    }

    @Test
    void whatHoldsNoVocabularyIsRefusedWithWhatWasSeen() throws IOException {
        TestGraph nothing = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .gaussian("layer", 1, COLUMNS, COLUMNS)
                .node("MatMul", "h layer", "x")
                .node("Softplus", "x", "y")
                .node("ReduceSum", "y", "z")
                .output("z", DataType.FLOAT, -1, 1);
        refused(
                nothing,
                "has no matrix that token ids choose rows from and none that makes logits; name one with --tensor."
                        + " It holds layer.");
        TestGraph labels = new TestGraph()
                .input("h", DataType.FLOAT, -1, COLUMNS)
                .gaussian("labels", 1, COLUMNS, 3)
                .node("MatMul", "h labels", "y")
                .output("y", DataType.FLOAT, -1, 3);
        refused(labels, "tensor \"labels\" makes output \"y\" of 3 numbers, fewer than a hidden state has.");
        TestGraph codes = new TestGraph()
                .tokens("input_ids")
                .initializer(tensor("words", DataType.INT8, new byte[ROWS * COLUMNS], ROWS, COLUMNS))
                .scalar("scale", 1)
                .node("Gather", "words input_ids", "x")
                .node("DequantizeLinear", "x scale", "y")
                .output("y", DataType.FLOAT, -1, -1, COLUMNS);
        refused(codes, "tensor \"words\" is stored quantised (codes of type int8); start from the unquantised model.");
        refused(codes.opset("", 6), "has operators of version 6; export it again with opset 7 or newer.");
        TestGraph eight = new TestGraph()
                .tokens("input_ids")
                .initializer(tensor("words", DataType.FLOAT8E4M3FN, new byte[ROWS * COLUMNS], ROWS, COLUMNS))
                .node("Cast", "words", "f", attribute("to", 1L))
                .node("Gather", "f input_ids", "y")
                .output("y", DataType.FLOAT, -1, -1, COLUMNS);
        refused(
                eight,
                "tensor \"words\" is stored as floats of few bits (float8e4m3fn); start from the unquantised model.");
    }

    private void refused(TestGraph graph, String why) throws IOException {
        Path file = graph.save(directory.resolve("m.onnx"));
        String message = assertThrows(InvalidDataException.class, () -> compress(file, VocabularyChoice.NONE)
                        .close())
                .getMessage();
        assertTrue(message.startsWith(file.toString()) && message.endsWith(why), message);
        assertFalse(Files.exists(directory.resolve("out.safetensors")));
    }
}
