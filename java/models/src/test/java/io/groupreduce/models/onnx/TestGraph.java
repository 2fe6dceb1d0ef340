package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/** Builds ONNX models for tests: {@code new TestGraph().input(..).floats(..).node(..).output(..).save(file)}. */
public final class TestGraph {
    private final ModelProto.Builder model =
            ModelProto.newBuilder().setIrVersion(8).setProducerName("test");
    private final GraphProto.Builder graph = GraphProto.newBuilder().setName("graph");
    private int made;

    public TestGraph() {
        opset("", 17);
    }

    /** Sets the version of a domain's operators; the standard ones are at 17. */
    public TestGraph opset(String domain, int version) {
        for (int i = model.getOpsetImportCount() - 1; i >= 0; i--) {
            if (model.getOpsetImport(i).getDomain().equals(domain)) {
                model.removeOpsetImport(i);
            }
        }
        model.addOpsetImport(OperatorSetIdProto.newBuilder().setDomain(domain).setVersion(version));
        return this;
    }

    /** An input; a negative side is one of any length. */
    public TestGraph input(String name, DataType type, long... shape) {
        graph.addInput(value(name, type, shape));
        return this;
    }

    /** Token ids, int64, [batch, length]. */
    public TestGraph tokens(String name) {
        return input(name, DataType.INT64, -1, -1);
    }

    /** An output; a negative side is one of any length. */
    public TestGraph output(String name, DataType type, long... shape) {
        graph.addOutput(value(name, type, shape));
        return this;
    }

    private static ValueInfoProto value(String name, DataType type, long... shape) {
        TensorShapeProto.Builder sides = TensorShapeProto.newBuilder();
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] < 0) {
                sides.addDimBuilder().setDimParam(name + "_" + i);
            } else {
                sides.addDimBuilder().setDimValue(shape[i]);
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

    /** Seeded normal numbers, row-major. */
    public static float[] gaussian(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** The transpose of [rows, columns]. */
    public static float[] transposed(float[] matrix, int rows, int columns) {
        float[] turned = new float[matrix.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                turned[c * rows + r] = matrix[r * columns + c];
            }
        }
        return turned;
    }

    /** Numbers as the raw bytes of F32, F16, BF16 or F64. */
    public static byte[] bytes(DataType type, float... values) {
        ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            switch (type) {
                case FLOAT -> bytes.putFloat(value);
                case DOUBLE -> bytes.putDouble(value);
                case FLOAT16 -> bytes.putShort(Float.floatToFloat16(value));
                case BFLOAT16 -> bytes.putShort((short) (Float.floatToIntBits(value) >>> 16));
                default -> throw new IllegalArgumentException(type.name());
            }
        }
        byte[] used = new byte[bytes.position()];
        bytes.flip().get(used);
        return used;
    }

    public static TensorProto tensor(String name, DataType type, byte[] raw, long... shape) {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .setRawData(ByteString.copyFrom(raw));
        for (long side : shape) {
            tensor.addDims(side);
        }
        return tensor.build();
    }

    /** An initializer as it is. */
    public TestGraph initializer(TensorProto tensor) {
        graph.addInitializer(tensor);
        return this;
    }

    public TestGraph floats(String name, float[] values, long... shape) {
        return initializer(tensor(name, DataType.FLOAT, bytes(DataType.FLOAT, values), shape));
    }

    /** Seeded normal numbers. */
    public TestGraph gaussian(String name, long seed, long... shape) {
        int count = 1;
        for (long side : shape) {
            count = Math.multiplyExact(count, (int) side);
        }
        return floats(name, gaussian(seed, count), shape);
    }

    public TestGraph scalar(String name, float value) {
        return floats(name, new float[] {value});
    }

    public TestGraph longs(String name, long... values) {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName(name)
                .setDataType(DataType.INT64.getNumber())
                .addDims(values.length);
        for (long value : values) {
            tensor.addInt64Data(value);
        }
        return initializer(tensor.build());
    }

    /** A node with one output; inputs are separated by spaces. */
    public TestGraph node(String operator, String inputs, String output, AttributeProto... attributes) {
        return node("", operator, inputs, output, attributes);
    }

    /** A node of a domain; inputs and outputs are separated by spaces, {@code -} stands for one that is left out. */
    public TestGraph node(String domain, String operator, String inputs, String outputs, AttributeProto... attributes) {
        NodeProto.Builder node =
                NodeProto.newBuilder().setDomain(domain).setOpType(operator).setName(operator + made++);
        for (String input : inputs.isEmpty() ? new String[0] : inputs.split(" ")) {
            node.addInput(input.equals("-") ? "" : input);
        }
        for (String output : outputs.split(" ")) {
            node.addOutput(output);
        }
        for (AttributeProto attribute : attributes) {
            node.addAttribute(attribute);
        }
        graph.addNode(node);
        return this;
    }

    public static AttributeProto attribute(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    public static AttributeProto attribute(String name, float value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.FLOAT)
                .setF(value)
                .build();
    }

    public static AttributeProto attribute(String name, long... values) {
        AttributeProto.Builder attribute =
                AttributeProto.newBuilder().setName(name).setType(AttributeProto.AttributeType.INTS);
        for (long value : values) {
            attribute.addInts(value);
        }
        return attribute.build();
    }

    public static AttributeProto attribute(String name, TensorProto value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.TENSOR)
                .setT(value)
                .build();
    }

    public static AttributeProto attribute(String name, GraphProto value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.GRAPH)
                .setG(value)
                .build();
    }

    /** The graph so far, to stand in a branch of another one. */
    public GraphProto graph() {
        return graph.build();
    }

    public ModelProto build() {
        return model.clone().setGraph(graph).build();
    }

    public Path save(Path file) throws IOException {
        return Files.write(file, build().toByteArray());
    }

    /** With raw numbers of at least {@code atLeast} bytes in a file {@code data} beside the model, each at a multiple of 64 bytes. */
    public Path save(Path file, String data, int atLeast) throws IOException {
        ModelProto.Builder outside = build().toBuilder();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (TensorProto.Builder tensor : outside.getGraphBuilder().getInitializerBuilderList()) {
            byte[] raw = tensor.getRawData().toByteArray();
            if (raw.length >= atLeast) {
                bytes.write(new byte[-bytes.size() & 63]);
                tensor.clearRawData()
                        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .addExternalData(entry("location", data))
                        .addExternalData(entry("offset", Integer.toString(bytes.size())))
                        .addExternalData(entry("length", Integer.toString(raw.length)));
                bytes.write(raw);
            }
        }
        Files.write(file.resolveSibling(data), bytes.toByteArray());
        return Files.write(file, outside.build().toByteArray());
    }

    public static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }
}
