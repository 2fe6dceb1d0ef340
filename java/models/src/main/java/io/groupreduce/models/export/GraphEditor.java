package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import com.google.protobuf.ByteString;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.onnx.Graph;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.OnnxWriter;
import io.groupreduce.models.onnx.Place;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * A model whose places are being filled with something else. What is added has names that nothing of the model has; the operators that
 * ONNX Runtime has beside the standard ones are declared where they are used.
 */
final class GraphEditor {
    /** The operators of ONNX Runtime's own. */
    static final String MICROSOFT = "com.microsoft";

    private final OnnxFile file;
    private final String prefix;
    private final List<NodeProto> nodes;
    private final Map<String, TensorProto> initializers;
    private final Map<String, MemorySegment> numbers = new LinkedHashMap<>();
    /** Initializers that a replaced node used, and that may serve nothing any more. */
    private final Set<String> left = new HashSet<>();
    /** Nodes of the replacement at hand. */
    private List<NodeProto> fresh;

    private long added;
    private int made;

    GraphEditor(OnnxFile file) {
        this.file = file;
        nodes = new ArrayList<>(file.model().getGraph().getNodeList());
        initializers = new LinkedHashMap<>(file.initializers());
        file.numbers().forEach((name, stored) -> numbers.put(name, stored.data()));
        prefix = free(new String(file.model().toByteArray(), StandardCharsets.ISO_8859_1));
    }

    /** What no name begins with, in the branches of nodes neither. */
    private static String free(String model) {
        String tried = "groupreduce/";
        for (int i = 2; model.contains(tried); i++) {
            tried = "groupreduce" + i + "/";
        }
        return tried;
    }

    /** The version of the standard operators. */
    int opset() {
        return file.model().getOpsetImportList().stream()
                .filter(set -> isStandard(set.getDomain()))
                .mapToInt(set -> (int) set.getVersion())
                .findFirst()
                .orElse(1);
    }

    private static boolean isStandard(String domain) {
        return domain.isEmpty() || domain.equals("ai.onnx");
    }

    /** @throws InvalidDataException if the model's operators are older than those that a replacement needs */
    void requireOpset(int least) {
        if (opset() < least) {
            throw new InvalidDataException(Wording.file(file.path()) + " has operators of version " + opset()
                    + " (opset), and " + least + " is needed; export the model again with opset " + least
                    + " or a later one.");
        }
    }

    /**
     * Adds an initializer, or finds the one that was added under this name with this memory: what several places share is stored once.
     *
     * @param data little-endian and row-major; must live until the model is written
     * @return the name to use
     */
    String initializer(String name, DataType type, MemorySegment data, long... shape) {
        String full = prefix + name;
        boolean small = data.byteSize() < OnnxFile.SMALL;
        TensorProto.Builder tensor = TensorProto.newBuilder().setName(full).setDataType(type.getNumber());
        Arrays.stream(shape).forEach(tensor::addDims);
        if (small) {
            tensor.setRawData(ByteString.copyFrom(data.asByteBuffer()));
        }
        TensorProto earlier = initializers.putIfAbsent(full, tensor.build());
        if (earlier != null) {
            if (!earlier.equals(tensor.build()) || !Objects.equals(numbers.get(full), small ? null : data)) {
                throw new IllegalStateException("Two initializers are named " + full);
            }
            return full;
        }
        if (!small) {
            numbers.put(full, data);
        }
        added += tensor.build().getSerializedSize() + (small ? 0 : data.byteSize());
        return full;
    }

    /** What a place adds for a compressed matrix: see {@link PlacedLogits#bias}. */
    float[] bias(Place place, CompressedMatrix matrix) {
        return PlacedLogits.bias(file, place, matrix);
    }

    /** Whole numbers from 0 to 255 as an initializer. */
    String bytes(byte[] values, long... shape) {
        return constant(DataType.UINT8, ByteBuffer.wrap(values), shape);
    }

    /** Whole numbers from -128 to 127 as an initializer. */
    String signed(byte[] values, long... shape) {
        return constant(DataType.INT8, ByteBuffer.wrap(values), shape);
    }

    /** Binary32 numbers, stored as binary16 where that is exact. */
    String halves(float[] values, long... shape) {
        ByteBuffer bytes = room(Short.BYTES, values.length);
        for (float value : values) {
            short half = Float.floatToFloat16(value);
            if (Float.float16ToFloat(half) != value) {
                return floats(values, shape);
            }
            bytes.putShort(half);
        }
        return cast(constant(DataType.FLOAT16, bytes.flip(), shape), DataType.FLOAT);
    }

    String floats(float[] values, long... shape) {
        ByteBuffer bytes = room(Float.BYTES, values.length);
        bytes.asFloatBuffer().put(values);
        return constant(DataType.FLOAT, bytes, shape);
    }

    String longs(long[] values, long... shape) {
        ByteBuffer bytes = room(Long.BYTES, values.length);
        bytes.asLongBuffer().put(values);
        return constant(DataType.INT64, bytes, shape);
    }

    /** Places in something: int32 or int64. */
    String places(DataType type, long[] values, long... shape) {
        if (type == DataType.INT64) {
            return longs(values, shape);
        }
        ByteBuffer bytes = room(Integer.BYTES, values.length);
        for (long value : values) {
            bytes.putInt(Math.toIntExact(value));
        }
        return constant(type, bytes.flip(), shape);
    }

    private static ByteBuffer room(int size, int count) {
        return ByteBuffer.allocate(size * count).order(ByteOrder.LITTLE_ENDIAN);
    }

    private String constant(DataType type, ByteBuffer values, long... shape) {
        return initializer("constant" + made++, type, MemorySegment.ofBuffer(values), shape);
    }

    /** Adds a node of a standard operator and one output, and names that. */
    String add(String operator, String... inputs) {
        return add(NodeProto.newBuilder().setOpType(operator).addAllInput(List.of(inputs)));
    }

    /** Adds a node; without outputs it gets one, whose name is returned. */
    String add(NodeProto.Builder node) {
        node.setName(prefix + node.getOpType() + made++);
        if (node.getOutputCount() == 0) {
            node.addOutput(node.getName() + "/out");
        }
        fresh.add(node.build());
        added += node.build().getSerializedSize();
        return node.getOutput(0);
    }

    String cast(String value, DataType type) {
        return add(NodeProto.newBuilder().setOpType("Cast").addInput(value).addAttribute(of("to", type.getNumber())));
    }

    /** Makes {@code [..., 1]} of {@code [...]}. */
    String column(String value) {
        NodeProto.Builder node = NodeProto.newBuilder().setOpType("Unsqueeze").addInput(value);
        // From version 13 on axes are an input.
        return add(
                opset() < 13
                        ? node.addAttribute(AttributeProto.newBuilder()
                                .setName("axes")
                                .setType(AttributeProto.AttributeType.INTS)
                                .addInts(-1))
                        : node.addInput(longs(new long[] {-1}, 1)));
    }

    static AttributeProto of(String name, long value) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INT)
                .setI(value)
                .build();
    }

    /**
     * Puts a replacement in a place.
     *
     * @return the bytes of its nodes and initializers
     */
    long replace(Place place, Replacement replacement) {
        long before = added;
        fresh = new ArrayList<>();
        String result = replacement.addTo(this, place);
        if (place.type() != DataType.FLOAT) {
            result = cast(result, place.type());
        }
        NodeProto last = fresh.removeLast();
        if (!last.getOutputList().equals(List.of(result))) {
            throw new IllegalStateException("The last node makes " + last.getOutputList() + " and not " + result);
        }
        fresh.add(last.toBuilder().setOutput(0, place.output()).build());
        nodes.addAll(nodes.indexOf(place.nodes().getLast()), fresh);
        nodes.removeAll(place.nodes());
        place.nodes().forEach(node -> left.addAll(node.getInputList()));
        return added - before;
    }

    /** The model as it is now. Initializers that only replaced nodes used are gone. */
    OnnxWriter writer() {
        GraphProto.Builder graph =
                file.model().getGraph().toBuilder().clearNode().addAllNode(nodes);
        Graph values = new Graph(graph.build());
        for (List<NodeProto> idle = idle(values); !idle.isEmpty(); idle = idle(values)) {
            nodes.removeAll(idle);
            idle.forEach(node -> left.addAll(node.getInputList()));
            values = new Graph(graph.clearNode().addAllNode(nodes).build());
        }
        Graph all = values;
        left.retainAll(initializers.keySet());
        left.removeIf(name -> !all.users(name).isEmpty() || all.outputs().containsKey(name));
        initializers.keySet().removeAll(left);
        numbers.keySet().removeAll(left);
        graph.clearInitializer()
                .addAllInitializer(initializers.values())
                .clearInput()
                .clearValueInfo();
        // Before version 4 of the format every initializer was listed as an input, too.
        file.model().getGraph().getInputList().stream()
                .filter(input -> !left.contains(input.getName()))
                .forEach(graph::addInput);
        file.model().getGraph().getValueInfoList().stream()
                .filter(value -> all.maker(value.getName()) != null)
                .forEach(graph::addValueInfo);
        ModelProto.Builder model = file.model().toBuilder().setGraph(graph);
        boolean microsoft = nodes.stream().anyMatch(node -> node.getDomain().equals(MICROSOFT));
        if (microsoft
                && model.getOpsetImportList().stream()
                        .noneMatch(set -> set.getDomain().equals(MICROSOFT))) {
            model.addOpsetImport(
                    OperatorSetIdProto.newBuilder().setDomain(MICROSOFT).setVersion(1));
        }
        return new OnnxWriter(model.build(), numbers);
    }

    /** Nodes that made what only replaced nodes used: several places may have shared them. */
    private List<NodeProto> idle(Graph values) {
        return nodes.stream()
                .filter(node -> node.getOutputList().stream().anyMatch(left::contains))
                .filter(node -> node.getOutputList().stream()
                        .allMatch(value -> values.users(value).isEmpty()
                                && !values.outputs().containsKey(value)))
                .toList();
    }
}
