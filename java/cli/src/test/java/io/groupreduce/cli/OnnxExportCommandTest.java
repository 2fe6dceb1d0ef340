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
import com.google.protobuf.ByteString;
import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.format.Safetensors;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code export --to onnx}: what it says, and what it refuses. */
class OnnxExportCommandTest extends RefusalCase {
    private Path small;
    private Path onnx;

    /** A model of one look-up in the table that was compressed. */
    @BeforeEach
    void compress() throws Exception {
        small = directory.resolve("small.safetensors");
        assertEquals(
                0,
                Shell.run("compress", model, "--tensor", "embedding.weight", "--only", "--ratio", "4", "-o", small)
                        .code());
        byte[] numbers;
        try (Safetensors file = Safetensors.open(model)) {
            numbers = file.require("embedding.weight").data().toArray(ValueLayout.JAVA_BYTE);
        }
        TypeProto ids = TypeProto.newBuilder()
                .setTensorType(TypeProto.Tensor.newBuilder()
                        .setElemType(DataType.INT64.getNumber())
                        .setShape(TensorShapeProto.newBuilder()
                                .addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("batch"))
                                .addDim(TensorShapeProto.Dimension.newBuilder().setDimParam("length"))))
                .build();
        GraphProto graph = GraphProto.newBuilder()
                .setName("graph")
                .addInput(ValueInfoProto.newBuilder().setName("input_ids").setType(ids))
                .addInitializer(TensorProto.newBuilder()
                        .setName("embedding.weight")
                        .setDataType(DataType.FLOAT.getNumber())
                        .addDims(Shell.ROWS)
                        .addDims(Shell.COLUMNS)
                        .setRawData(ByteString.copyFrom(numbers)))
                .addNode(NodeProto.newBuilder()
                        .setOpType("Gather")
                        .setName("look-up")
                        .addInput("embedding.weight")
                        .addInput("input_ids")
                        .addOutput("vectors"))
                .addOutput(ValueInfoProto.newBuilder()
                        .setName("vectors")
                        .setType(TypeProto.newBuilder()
                                .setTensorType(TypeProto.Tensor.newBuilder().setElemType(DataType.FLOAT.getNumber()))))
                .build();
        onnx = directory.resolve("model.onnx");
        Files.write(
                onnx,
                ModelProto.newBuilder()
                        .setIrVersion(8)
                        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                        .setGraph(graph)
                        .build()
                        .toByteArray());
        output = directory.resolve("small.onnx");
    }

    private Outcome export(Object... more) {
        Object[] arguments = new Object[more.length + 4];
        System.arraycopy(new Object[] {"export", small, "-o", output}, 0, arguments, 0, 4);
        System.arraycopy(more, 0, arguments, 4, more.length);
        return Shell.run(arguments);
    }

    private void refused(int code, String part, Object... more) throws Exception {
        Outcome outcome = export(more);
        assertEquals(code, outcome.code(), outcome.err());
        assertTrue(outcome.err().startsWith("groupreduce: ") && outcome.err().contains(part), outcome.err());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
    }

    @Test
    void sizesAndErrorsAreSaid() throws Exception {
        Outcome text = export("--to", "onnx", "--model", onnx);
        assertEquals(0, text.code(), text.err());
        assertTrue(text.out().contains("of which the export added"), text.out());
        assertEquals(2, text.out().lines().count(), text.out());
        String inspected = Shell.run("inspect", output).out();
        assertTrue(inspected.contains("tensors of at most 8 numbers"), inspected);
        JsonNode document =
                export("--to", "onnx", "--model", onnx, "--json", "--force").json();
        assertEquals(Files.size(output), document.path("bytes").asLong());
        assertEquals(Files.size(onnx), document.path("bytesBefore").asLong());
        JsonNode matrix = document.path("matrices").path(0);
        assertEquals(4L * Shell.ROWS * Shell.COLUMNS, matrix.path("bytesBefore").asLong());
        assertEquals(Files.size(small), matrix.path("bytesCompressed").asLong());
        assertEquals(Shell.ROWS, matrix.path("rowsChecked").asInt());
        assertTrue(matrix.path("relativeError").asDouble() < 0.5, matrix.toString());
        assertTrue(matrix.path("addedError").asDouble() < 1e-6, matrix.toString());
    }

    @Test
    void externalDataLieBesideTheModel() throws Exception {
        Outcome outcome = export("--to", "onnx", "--model", onnx, "--external-data", "--json");
        Path data = directory.resolve("small.onnx.data");
        assertEquals(
                Files.size(output) + Files.size(data),
                outcome.json().path("bytes").asLong());
        Files.delete(output);
        refused(1, "small.onnx.data exists already", "--to", "onnx", "--model", onnx, "--external-data", "--json");
    }

    @Test
    void optionsThatDoNotFitAreRefused() throws Exception {
        refused(2, "--to onnx needs --model MODEL.onnx", "--to", "onnx");
        refused(2, "--model, --hidden and --external-data belong to --to onnx", "--to", "dense", "--model", onnx);
        refused(2, "--model, --hidden and --external-data belong to --to onnx", "--to", "dense", "--external-data");
        assertFalse(Files.exists(output));
    }

    @Test
    void noFileOfTheRunIsOverwritten() throws Exception {
        byte[] before = Files.readAllBytes(onnx);
        output = onnx;
        refused(1, "is the input itself", "--to", "onnx", "--model", onnx, "--force");
        output = small;
        refused(2, "would be an ONNX file under the name of another", "--to", "onnx", "--model", onnx, "--force");
        assertEquals(before.length, Files.size(onnx));
        output = Files.writeString(directory.resolve("there.onnx"), "earlier");
        refused(1, "exists already", "--to", "onnx", "--model", onnx);
        refused(1, "is no ONNX model", "--to", "onnx", "--model", small, "--force");
        assertEquals("earlier", Files.readString(output));
    }
}
