package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.FileKind;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An ONNX model: its graph as messages, the numbers of its initializers where they lie in mapped files. Only what is not numbers is parsed, so
 * a large model takes no more memory than its graph. Constants that nodes hold are initializers here.
 */
public final class OnnxFile implements AutoCloseable {
    /** Numbers of fewer bytes stay in the messages: shapes, axes and other constants. */
    public static final int SMALL = 1024;

    /** The numbers of an initializer, little-endian and row-major; {@code file} holds them. */
    public record Numbers(MemorySegment data, Path file) {}

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final Map<String, Numbers> numbers = new LinkedHashMap<>();
    private final Map<String, TensorProto> initializers = new LinkedHashMap<>();
    private final ModelProto model;

    private OnnxFile(Path path) {
        this.path = path;
        try {
            MemorySegment content = InputFile.map(path, arena);
            try {
                model = hoisted(parse(content));
                check();
            } catch (Fields.Damage | InvalidProtocolBufferException e) {
                String what = FileKind.instead(path, content)
                        .orElse("is no ONNX model, or a damaged one: it " + Wording.line(e.getMessage())
                                + "; download or export it again");
                throw new MalformedFileException(Wording.file(path) + " " + what + ".", e);
            }
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Maps a model and its external data.
     *
     * @throws FileAccessException if a file is missing or unreadable
     * @throws MalformedFileException if it is no ONNX model, or a damaged one
     * @throws InvalidDataException if its external data lie outside its folder
     */
    public static OnnxFile open(Path path) {
        return new OnnxFile(path);
    }

    /** The model file. */
    public Path path() {
        return path;
    }

    /** The model; its larger initializers have no numbers, which {@link #numbers} has. */
    public ModelProto model() {
        return model;
    }

    /** The numbers of initializers that are no longer in the messages, or never were. */
    public Map<String, Numbers> numbers() {
        return Collections.unmodifiableMap(numbers);
    }

    /** The initializers by name, without numbers where {@link #numbers} has them. */
    public Map<String, TensorProto> initializers() {
        return Collections.unmodifiableMap(initializers);
    }

    /** The numbers of an initializer, wherever they are; little-endian and row-major. */
    public MemorySegment data(String initializer) {
        Numbers apart = numbers.get(initializer);
        return apart != null ? apart.data() : Constants.data(initializers.get(initializer));
    }

    /** The numbers of an initializer of F32, F16 or BF16, row-major. */
    public float[] floats(String initializer) {
        TensorProto tensor = initializers().get(initializer);
        DType type = Constants.type(tensor).orElseThrow();
        MemorySegment data = data(initializer);
        float[] floats = new float[Math.toIntExact(data.byteSize() / type.bytes())];
        Matrix.of(initializer, type, 1, floats.length, data).readRow(0, floats, 0);
        return floats;
    }

    /** The files that it is read from, the model first. */
    public List<Path> files() {
        List<Path> files = new ArrayList<>(List.of(path));
        numbers.values().stream()
                .map(Numbers::file)
                .distinct()
                .filter(file -> !files.contains(file))
                .forEach(files::add);
        return files;
    }

    /** Unmaps all files; may be called again. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** What becomes of the bytes of a message inside another one. */
    @FunctionalInterface
    private interface Rewriting {
        byte[] of(Fields message) throws Fields.Damage, InvalidProtocolBufferException;
    }

    /** A message whose inner messages of some numbers are rewritten. */
    private static byte[] copy(Fields from, Map<Integer, Rewriting> rewritten)
            throws Fields.Damage, InvalidProtocolBufferException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        try {
            while (from.next()) {
                Rewriting rewriting = from.isBytes() ? rewritten.get(from.number()) : null;
                if (rewriting == null) {
                    out.writeRawBytes(from.bytes());
                } else {
                    out.writeByteArray(from.number(), rewriting.of(from.message()));
                }
            }
            out.flush();
            return bytes.toByteArray();
        } catch (InvalidProtocolBufferException e) {
            throw e;
        } catch (IOException e) {
            throw new IllegalStateException("memory cannot be written to", e);
        }
    }

    private ModelProto parse(MemorySegment content) throws Fields.Damage, InvalidProtocolBufferException {
        Rewriting graph = message -> copy(
                message,
                Map.of(
                        GraphProto.INITIALIZER_FIELD_NUMBER,
                        tensor -> tensor(tensor, null),
                        GraphProto.NODE_FIELD_NUMBER,
                        this::node));
        return ModelProto.parseFrom(
                copy(new Fields(content, 0, content.byteSize()), Map.of(ModelProto.GRAPH_FIELD_NUMBER, graph)));
    }

    /** A node; the numbers of a constant are taken out as those of an initializer are. */
    private byte[] node(Fields message) throws Fields.Damage, InvalidProtocolBufferException {
        String operator = "";
        String output = null;
        Fields names = message.again();
        while (names.next()) {
            if (names.isBytes() && names.number() == NodeProto.OP_TYPE_FIELD_NUMBER) {
                operator = names.text();
            } else if (names.isBytes() && names.number() == NodeProto.OUTPUT_FIELD_NUMBER && output == null) {
                output = names.text();
            }
        }
        String constant = output;
        Rewriting value = attribute -> copy(attribute, Map.of(AttributeProto.T_FIELD_NUMBER, t -> tensor(t, constant)));
        return copy(
                message,
                operator.equals("Constant") && constant != null
                        ? Map.of(NodeProto.ATTRIBUTE_FIELD_NUMBER, value)
                        : Map.of());
    }

    /** A tensor without its numbers, if they are many; {@code name} if it has none of its own. */
    private byte[] tensor(Fields message, String name) throws Fields.Damage, InvalidProtocolBufferException {
        ByteArrayOutputStream rest = new ByteArrayOutputStream();
        MemorySegment data = null;
        while (message.next()) {
            // Packed floats are as they would be among raw bytes.
            boolean isData = message.isBytes()
                    && message.value().byteSize() >= SMALL
                    && (message.number() == TensorProto.RAW_DATA_FIELD_NUMBER
                            || message.number() == TensorProto.FLOAT_DATA_FIELD_NUMBER);
            if (!isData) {
                rest.writeBytes(message.bytes());
            } else if (data == null) {
                data = message.value();
            } else {
                throw new Fields.Damage("has a tensor in two pieces");
            }
        }
        byte[] bytes = rest.toByteArray();
        if (data != null) {
            numbers.put(name == null ? TensorProto.parseFrom(bytes).getName() : name, new Numbers(data, path));
        }
        return bytes;
    }

    /** Constants that nodes hold become initializers, and small numbers in other files are fetched: there is one place for each kind. */
    private ModelProto hoisted(ModelProto parsed) {
        GraphProto graph = parsed.getGraph();
        GraphProto.Builder hoisted = graph.toBuilder().clearNode().clearInitializer();
        ExternalData outside = new ExternalData(path, arena);
        graph.getInitializerList().forEach(tensor -> hoisted.addInitializer(fetched(tensor, outside)));
        for (NodeProto node : graph.getNodeList()) {
            Optional<AttributeProto> value =
                    node.getOpType().equals("Constant") ? Graph.attribute(node, "value") : Optional.empty();
            if (value.isPresent() && value.get().hasT() && node.getOutputCount() == 1) {
                TensorProto constant = value.get().getT();
                hoisted.addInitializer(
                        fetched(constant.toBuilder().setName(node.getOutput(0)).build(), outside));
            } else {
                hoisted.addNode(node);
            }
        }
        return parsed.toBuilder().setGraph(hoisted).build();
    }

    private TensorProto fetched(TensorProto tensor, ExternalData outside) {
        if (tensor.getDataLocation() != TensorProto.DataLocation.EXTERNAL) {
            return tensor;
        }
        Numbers found = outside.of(tensor);
        if (found.data().byteSize() >= SMALL) {
            numbers.put(tensor.getName(), found);
            return tensor;
        }
        return tensor.toBuilder()
                .clearExternalData()
                .clearDataLocation()
                .setRawData(ByteString.copyFrom(found.data().toArray(ValueLayout.JAVA_BYTE)))
                .build();
    }

    /** That it is a model, and each of its initializers has the numbers that type and shape need. */
    private void check() throws Fields.Damage {
        if (!model.hasGraph() || model.getIrVersion() < 1 || model.getGraph().getOutputCount() == 0) {
            throw new Fields.Damage("has no graph with outputs");
        }
        for (TensorProto tensor : model.getGraph().getInitializerList()) {
            String name = tensor.getName();
            if (initializers.put(name, tensor) != null) {
                throw new Fields.Damage("has two initializers " + Wording.quoted(name));
            }
            long needed = Constants.bytes(tensor);
            long stored = needed < 0 ? needed : data(name).byteSize();
            if (stored != needed) {
                throw new Fields.Damage("stores " + stored + " bytes of the " + needed + " that tensor "
                        + Wording.quoted(name) + " needs");
            }
        }
        for (NodeProto node : model.getGraph().getNodeList()) {
            if (node.getOutputCount() == 0) {
                throw new Fields.Damage("has a node " + Wording.quoted(node.getOpType()) + " that makes nothing");
            }
            requireInside(node, Graph.inner(node));
        }
    }

    /** Numbers of branches are parsed with them, and those in other files are not looked for. */
    private void requireInside(NodeProto node, List<GraphProto> branches) {
        for (GraphProto branch : branches) {
            for (TensorProto tensor : branch.getInitializerList()) {
                if (tensor.getDataLocation() == TensorProto.DataLocation.EXTERNAL) {
                    throw new InvalidDataException(Wording.file(path) + ": tensor " + Wording.quoted(tensor.getName())
                            + " belongs to a branch of node " + Wording.quoted(node.getName())
                            + " and has its numbers in another file, which is not read; export the model with its"
                            + " tensors in the main graph, or without branches.");
                }
            }
            branch.getNodeList().forEach(deeper -> requireInside(deeper, Graph.inner(deeper)));
        }
    }
}
