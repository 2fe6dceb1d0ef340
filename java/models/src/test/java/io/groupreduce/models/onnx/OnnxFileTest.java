package io.groupreduce.models.onnx;

import static io.groupreduce.models.onnx.TestGraph.attribute;
import static io.groupreduce.models.onnx.TestGraph.bytes;
import static io.groupreduce.models.onnx.TestGraph.entry;
import static io.groupreduce.models.onnx.TestGraph.gaussian;
import static io.groupreduce.models.onnx.TestGraph.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl.FunctionProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Model;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ONNX files: what is read is what is there, what is written again is the same model, and what is damaged is refused. */
class OnnxFileTest {
    private static final int ROWS = 300;
    private static final int COLUMNS = 4;

    @TempDir
    Path directory;

    private static TestGraph graph() {
        return new TestGraph()
                .tokens("input_ids")
                .gaussian("e", 1, ROWS, COLUMNS)
                .node("Gather", "e input_ids", "x")
                .output("x", DataType.FLOAT, -1, -1, COLUMNS);
    }

    /** Every kind of field beside the graph's tensors, and such as are not known. */
    private static ModelProto whole() {
        TestGraph branch = new TestGraph().node("Identity", "x", "z").output("z", DataType.FLOAT);
        ModelProto model = graph().opset("com.microsoft", 1)
                .gaussian("small", 2, 3)
                .longs("numbers", 1, 2, 3)
                .node("If", "flag", "z", attribute("then_branch", branch.graph()), attribute("scale", .5f))
                .build();
        UnknownFieldSet unknown = UnknownFieldSet.newBuilder()
                .addField(
                        900,
                        UnknownFieldSet.Field.newBuilder()
                                .addFixed64(7)
                                .addFixed32(8)
                                .addVarint(-1)
                                .build())
                .build();
        ModelProto.Builder more = model.toBuilder()
                .setDomain("d")
                .setModelVersion(-3)
                .setDocString("words")
                .addMetadataProps(entry("key", "value"))
                .addFunctions(FunctionProto.newBuilder().setName("f"))
                .setUnknownFields(unknown);
        more.getGraphBuilder()
                .setDocString("more words")
                .addValueInfo(model.getGraph().getOutput(0))
                .setUnknownFields(unknown);
        more.getGraphBuilder().getInitializerBuilder(0).setDocString("about e").setUnknownFields(unknown);
        return more.build();
    }

    @Test
    void whatIsWrittenAgainIsTheSameModel() throws IOException {
        ModelProto model = whole();
        Path file = Files.write(directory.resolve("m.onnx"), model.toByteArray());
        try (OnnxFile opened = OnnxFile.open(file)) {
            assertEquals(List.of("e"), List.copyOf(opened.numbers().keySet()));
            assertTrue(opened.model().getSerializedSize() < 1000);
            OnnxWriter writer = new OnnxWriter(opened.model(), data(opened));
            Path one = directory.resolve("one.onnx");
            writer.write(one, written -> {});
            assertEquals(model, ModelProto.parseFrom(Files.readAllBytes(one)));
            assertTrue(Files.size(one) <= writer.bytes());
            Path two = directory.resolve("two.onnx");
            writer.write(two, directory.resolve("two.onnx_data"), written -> {});
            try (OnnxFile again = OnnxFile.open(two)) {
                assertEquals(List.of(two, directory.resolve("two.onnx_data")), again.files());
                new OnnxWriter(again.model(), data(again)).write(one, written -> {});
                assertEquals(model, ModelProto.parseFrom(Files.readAllBytes(one)));
            }
        }
    }

    private static Map<String, MemorySegment> data(OnnxFile file) {
        return file.numbers().entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, each -> each.getValue()
                .data()));
    }

    @Test
    void everyFieldThatHoldsNumbersIsRead() throws IOException {
        float[] few = gaussian(1, 8);
        float[] many = gaussian(2, 1000);
        TensorProto.Builder floats =
                TensorProto.newBuilder().setName("floats").setDataType(1).addDims(1000);
        TensorProto.Builder halves =
                TensorProto.newBuilder().setName("halves").setDataType(10).addDims(1000);
        TensorProto.Builder codes =
                TensorProto.newBuilder().setName("codes").setDataType(3).addDims(8);
        TensorProto.Builder pairs =
                TensorProto.newBuilder().setName("pairs").setDataType(22).addDims(5);
        for (float value : many) {
            floats.addFloatData(value);
            halves.addInt32Data(Short.toUnsignedInt(Float.floatToFloat16(value)));
        }
        for (int i = 0; i < 8; i++) {
            codes.addInt32Data(-i);
        }
        pairs.addInt32Data(1).addInt32Data(2).addInt32Data(3);
        TestGraph graph = graph().initializer(floats.build())
                .initializer(halves.build())
                .initializer(codes.build())
                .initializer(pairs.build())
                .floats("few", few, 2, 4)
                .longs("longs", -1, Long.MAX_VALUE)
                .node(
                        "Constant",
                        "",
                        "constant",
                        attribute("value", tensor("other", DataType.FLOAT, bytes(DataType.FLOAT, many), 1000)))
                .node(
                        "Constant",
                        "",
                        "number",
                        attribute("value", tensor("", DataType.DOUBLE, bytes(DataType.DOUBLE, 3))));
        try (OnnxFile opened = OnnxFile.open(graph.save(directory.resolve("m.onnx")))) {
            assertEquals(Set.of("e", "floats", "constant"), opened.numbers().keySet());
            for (String name : List.of("floats", "constant")) {
                assertArrayEquals(bytes(DataType.FLOAT, many), opened.data(name).toArray(ValueLayout.JAVA_BYTE));
            }
            assertArrayEquals(
                    bytes(DataType.FLOAT16, many), opened.data("halves").toArray(ValueLayout.JAVA_BYTE));
            assertArrayEquals(bytes(DataType.FLOAT, few), opened.data("few").toArray(ValueLayout.JAVA_BYTE));
            assertArrayEquals(
                    new byte[] {0, -1, -2, -3, -4, -5, -6, -7},
                    opened.data("codes").toArray(ValueLayout.JAVA_BYTE));
            assertArrayEquals(new byte[] {1, 2, 3}, opened.data("pairs").toArray(ValueLayout.JAVA_BYTE));
            assertArrayEquals(
                    new long[] {-1, Long.MAX_VALUE}, opened.data("longs").toArray(ValueLayout.JAVA_LONG_UNALIGNED));
            assertEquals(3, Constants.scalar(opened.initializers().get("number")));
            assertFalse(opened.model().getGraph().getNodeList().stream()
                    .anyMatch(n -> n.getOpType().equals("Constant")));
        }
    }

    @Test
    void smallNumbersInOtherFilesAreFetched() throws IOException {
        Path file = graph().scalar("one", 5).save(directory.resolve("m.onnx"), "data", 1);
        try (OnnxFile opened = OnnxFile.open(file)) {
            assertEquals(Set.of("e"), opened.numbers().keySet());
            assertEquals(5, Constants.scalar(opened.initializers().get("one")));
            assertArrayEquals(
                    bytes(DataType.FLOAT, gaussian(1, ROWS * COLUMNS)),
                    opened.data("e").toArray(ValueLayout.JAVA_BYTE));
        }
    }

    @Test
    void aGraphInSeveralPiecesIsOne() throws IOException {
        byte[] first = graph().build().toByteArray();
        byte[] second = ModelProto.newBuilder()
                .setGraph(new TestGraph().gaussian("f", 2, ROWS, COLUMNS).graph())
                .build()
                .toByteArray();
        byte[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        try (OnnxFile opened = OnnxFile.open(Files.write(directory.resolve("m.onnx"), both))) {
            assertEquals(List.of("e", "f"), List.copyOf(opened.initializers().keySet()));
        }
    }

    @Test
    void numbersBeyondTwoGigabytesStayInTheirFile() throws IOException {
        long side = 1L << 16;
        ModelProto.Builder model = graph().build().toBuilder();
        TensorProto.Builder large = model.getGraphBuilder().getInitializerBuilder(0);
        large.clearRawData()
                .setDims(0, side)
                .setDims(1, side)
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addExternalData(entry("location", "large"))
                .addExternalData(entry("offset", "4096"));
        Path file = Files.write(directory.resolve("m.onnx"), model.build().toByteArray());
        try (RandomAccessFile sparse =
                new RandomAccessFile(directory.resolve("large").toFile(), "rw")) {
            sparse.setLength(4096 + Float.BYTES * side * side);
            sparse.seek(4096 + Float.BYTES * (side * side - 1));
            sparse.write(bytes(DataType.FLOAT, 7));
        }
        try (Model opened = Model.open(file)) {
            float[] row = new float[(int) side];
            opened.matrix("e").readRow(side - 1, row, 0);
            assertEquals(7, row[row.length - 1]);
            assertEquals(directory.resolve("large"), opened.fileOf("e"));
        }
        try (OnnxFile opened = OnnxFile.open(file)) {
            OnnxWriter writer = new OnnxWriter(opened.model(), data(opened));
            Path target = directory.resolve("one.onnx");
            String message = assertThrows(InvalidDataException.class, () -> writer.write(target, written -> {}))
                    .getMessage();
            assertTrue(
                    message.contains("would have 17179869184") || message.contains("cannot have more than 2147483647"),
                    message);
            assertFalse(Files.exists(target));
        }
    }

    @Test
    void dataOutsideOfTheFolderOrBeyondTheirEndAreRefused() throws IOException {
        Map<String, String> refused = new HashMap<>();
        for (String location : List.of("../data", "/etc/passwd", "a/../../data", "", ".", "\0")) {
            refused.put(location, "which is no file in the model's folder; nothing outside it is read");
        }
        refused.put("none", "which is not there; put it beside the model");
        for (Map.Entry<String, String> each : refused.entrySet()) {
            assertRefused(
                    each.getKey().equals("none") ? FileAccessException.class : InvalidDataException.class,
                    each.getValue(),
                    entry("location", each.getKey()));
        }
        Files.write(directory.resolve("data"), new byte[ROWS * COLUMNS * Float.BYTES]);
        for (String offset : List.of("1", "-1", "x", "99999999999999999999")) {
            assertRefused(
                    MalformedFileException.class,
                    "lies beyond the end of \"data\" or has no proper place in it",
                    entry("location", "data"),
                    entry("offset", offset),
                    entry("length", "4800"));
        }
        assertRefused(
                MalformedFileException.class,
                "it stores 4799 bytes of the 4800 that tensor \"e\" needs",
                entry("location", "data"),
                entry("offset", "1"));
    }

    private void assertRefused(Class<? extends Exception> type, String message, StringStringEntryProto... places)
            throws IOException {
        ModelProto.Builder model = graph().build().toBuilder();
        model.getGraphBuilder()
                .getInitializerBuilder(0)
                .clearRawData()
                .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                .addAllExternalData(List.of(places));
        assertRefused(type, message, model.build().toByteArray());
    }

    private void assertRefused(Class<? extends Exception> type, String message, byte[] content) throws IOException {
        Path file = Files.write(directory.resolve("m.onnx"), content);
        String found = assertThrows(type, () -> Model.open(file).close()).getMessage();
        assertTrue(found.startsWith(file.toString()), found);
        assertTrue(found.contains(message), found);
        assertTrue(found.endsWith(".") && found.indexOf('\n') < 0, found);
    }

    @Test
    void whatIsNoModelIsSaidToBeWhatItIs() throws IOException {
        byte[] good = graph().build().toByteArray();
        Map<String, byte[]> refused = new HashMap<>();
        refused.put("is empty", new byte[0]);
        refused.put("is a Git LFS pointer", "version https://git-lfs.github.com/spec/v1".getBytes());
        refused.put("is a web page", "<html><body>".getBytes());
        refused.put("it ends before the field at byte", Arrays.copyOf(good, good.length - 1));
        refused.put("it has no graph with outputs", new byte[] {8, 3, 0x12, 0});
        refused.put(
                "it has two initializers \"e\"",
                graph().gaussian("e", 2, 2).build().toByteArray());
        refused.put(
                "it stores 8 bytes of the 12 that tensor \"f\" needs",
                graph().initializer(tensor("f", DataType.FLOAT, new byte[8], 3))
                        .build()
                        .toByteArray());
        refused.put(
                "it has a tensor of [-3] numbers",
                graph().initializer(tensor("f", DataType.FLOAT, new byte[8], -3))
                        .build()
                        .toByteArray());
        refused.put(
                "it has a tensor in two pieces",
                graph().initializer(TensorProto.newBuilder()
                                .setName("f")
                                .setRawData(ByteString.copyFrom(new byte[2000]))
                                .addAllFloatData(Collections.nCopies(500, 1f))
                                .build())
                        .build()
                        .toByteArray());
        for (Map.Entry<String, byte[]> each : refused.entrySet()) {
            assertRefused(MalformedFileException.class, each.getKey(), each.getValue());
        }
        TestGraph branch = new TestGraph()
                .initializer(TensorProto.newBuilder()
                        .setName("inner")
                        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .build())
                .output("z", DataType.FLOAT);
        assertRefused(
                InvalidDataException.class,
                "tensor \"inner\" belongs to a branch of node \"If1\"",
                graph().node("If", "f", "z", attribute("then_branch", branch.graph()))
                        .build()
                        .toByteArray());
    }

    @Test
    void nodesThatNeedEachOtherAreNoEndlessWalk() throws IOException {
        TestGraph graph = graph().node("Identity", "b", "a")
                .node("Identity", "a", "b")
                .node("MatMul", "a b", "y")
                .node("Gather", "e a", "z")
                .node("Identity", "e", "c")
                .node("Mul", "y a", "b");
        try (OnnxFile opened = OnnxFile.open(graph.save(directory.resolve("m.onnx")))) {
            assertEquals(1, Places.find(opened).size());
        }
    }

    @Test
    void whateverIsDamagedIsRefusedOrReadWithoutHarm() throws IOException {
        byte[] good = whole().toByteArray();
        Random random = new Random(11);
        Path file = directory.resolve("m.onnx");
        int refused = 0;
        for (int round = 0; round < 400; round++) {
            byte[] bad = good.clone();
            // Most bytes are numbers, so half of the faults are put among those that are not.
            int within = random.nextBoolean() ? bad.length : 200;
            for (int faults = random.nextInt(3) + 1; faults > 0; faults--) {
                int at = random.nextBoolean() ? random.nextInt(within) : bad.length - 1 - random.nextInt(within);
                bad[at] = (byte) random.nextInt();
            }
            Files.write(file, random.nextInt(4) > 0 ? bad : Arrays.copyOf(bad, random.nextInt(bad.length)));
            try (OnnxFile opened = OnnxFile.open(file)) {
                Places.all(opened, VocabularyChoice.NONE);
            } catch (GroupReduceException e) {
                refused++;
            }
        }
        assertTrue(refused > 50, refused + " refused");
    }
}
