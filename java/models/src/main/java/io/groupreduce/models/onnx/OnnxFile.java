package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl;
import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An ONNX model: its graph as messages, the numbers of its initializers where they lie in mapped files. Only what is not numbers is parsed, so
 * a large model takes no more memory than its graph.
 */
public final class OnnxFile implements AutoCloseable {
    /** Numbers of fewer bytes stay in the messages: shapes, axes and other constants. */
    static final int SMALL = 1024;

    /** The numbers of an initializer, little-endian and row-major; {@code file} holds them. */
    public record Numbers(MemorySegment data, Path file) {}

    /** A fault of the file's bytes. */
    private static final class Damage extends Exception {
        private static final long serialVersionUID = 1;

        Damage(String what) {
            super(what);
        }
    }

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment content;
    private final Map<String, Numbers> numbers = new LinkedHashMap<>();
    private final ModelProto model;

    private OnnxFile(Path path) {
        this.path = path;
        try {
            content = InputFile.map(path, arena);
            model = hoisted(parse());
            Map<Path, MemorySegment> mapped = new HashMap<>();
            for (TensorProto tensor : model.getGraph().getInitializerList()) {
                if (tensor.getDataLocation() == TensorProto.DataLocation.EXTERNAL) {
                    numbers.put(tensor.getName(), external(tensor, mapped));
                }
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

    /** Unmaps all files; may be called again. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** Constants that nodes hold become initializers, so that there is one way in which a graph stores numbers. */
    private static ModelProto hoisted(ModelProto parsed) {
        GraphProto graph = parsed.getGraph();
        GraphProto.Builder hoisted = graph.toBuilder().clearNode();
        for (NodeProto node : graph.getNodeList()) {
            Optional<AttributeProto> value =
                    node.getOpType().equals("Constant") ? Graph.attribute(node, "value") : Optional.empty();
            if (value.isPresent() && value.get().hasT()) {
                hoisted.addInitializer(value.get().getT().toBuilder().setName(node.getOutput(0)));
            } else {
                hoisted.addNode(node);
            }
        }
        return parsed.toBuilder().setGraph(hoisted).build();
    }

    private ModelProto parse() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            CodedOutputStream out = CodedOutputStream.newInstance(bytes);
            copy(new Fields(0, content.byteSize()), out, ModelProto.GRAPH_FIELD_NUMBER, this::graph);
            out.flush();
            return ModelProto.parseFrom(bytes.toByteArray());
        } catch (Damage | InvalidProtocolBufferException e) {
            throw new MalformedFileException(
                    Wording.file(path) + " is no ONNX model, or a damaged one: " + Wording.line(e.getMessage())
                            + "; download or export it again.",
                    e);
        } catch (IOException e) {
            throw new IllegalStateException("memory cannot be written to", e);
        }
    }

    /** What becomes of a message inside another one. */
    @FunctionalInterface
    private interface Rewriting {
        byte[] of(Fields message) throws IOException, Damage;
    }

    /** Copies the fields of a message; those of one number are rewritten. */
    private void copy(Fields from, CodedOutputStream to, int number, Rewriting rewriting) throws IOException, Damage {
        while (from.next()) {
            if (from.number == number && from.isBytes()) {
                to.writeByteArray(number, rewriting.of(from.message()));
            } else {
                to.writeRawBytes(from.bytes());
            }
        }
    }

    private byte[] graph(Fields message) throws IOException, Damage {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        copy(message, out, OnnxMl.GraphProto.INITIALIZER_FIELD_NUMBER, this::initializer);
        out.flush();
        return bytes.toByteArray();
    }

    private byte[] initializer(Fields message) throws IOException, Damage {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        MemorySegment data = null;
        while (message.next()) {
            // Packed floats are as they would be among raw bytes.
            boolean isData = message.isBytes()
                    && message.value.byteSize() >= SMALL
                    && (message.number == TensorProto.RAW_DATA_FIELD_NUMBER
                            || message.number == TensorProto.FLOAT_DATA_FIELD_NUMBER);
            if (isData && data == null) {
                data = message.value;
            } else {
                out.writeRawBytes(message.bytes());
            }
        }
        out.flush();
        byte[] rest = bytes.toByteArray();
        if (data != null) {
            String name = TensorProto.parseFrom(rest).getName();
            if (numbers.put(name, new Numbers(data, path)) != null) {
                throw new Damage("it has two initializers " + Wording.quoted(name));
            }
        }
        return rest;
    }

    private Numbers external(TensorProto tensor, Map<Path, MemorySegment> mapped) {
        Map<String, String> where = new HashMap<>();
        for (StringStringEntryProto entry : tensor.getExternalDataList()) {
            where.put(entry.getKey(), entry.getValue());
        }
        String location = where.getOrDefault("location", "");
        String label = Wording.file(path) + ": tensor " + Wording.quoted(tensor.getName());
        Path file = inside(label, location);
        MemorySegment data = mapped.computeIfAbsent(file, name -> {
            if (!Files.exists(name)) {
                throw new FileAccessException(label + " has its numbers in " + Wording.quoted(location)
                        + ", which is not there; put it beside the model.");
            }
            return InputFile.map(name, arena);
        });
        try {
            long offset = Long.parseLong(where.getOrDefault("offset", "0"));
            long length = Long.parseLong(where.getOrDefault("length", Long.toString(data.byteSize() - offset)));
            return new Numbers(data.asSlice(offset, length), file);
        } catch (NumberFormatException | IndexOutOfBoundsException e) {
            throw new MalformedFileException(
                    label + " lies beyond the end of " + Wording.quoted(location) + " or has no proper place in it;"
                            + " download it again.",
                    e);
        }
    }

    /** The file of external data, which must not lead out of the model's folder. */
    private Path inside(String label, String location) {
        Path folder = path.toAbsolutePath().normalize().getParent();
        try {
            Path file = folder.resolve(location).normalize();
            boolean inside = !location.isEmpty() && !Path.of(location).isAbsolute() && file.startsWith(folder);
            if (inside && !file.equals(folder)) {
                return file;
            }
        } catch (InvalidPathException e) {
            // Said below.
        }
        throw new InvalidDataException(label + " has its numbers in " + Wording.quoted(location)
                + ", which is no file in the model's folder; nothing outside it is read.");
    }

    /** The fields of one message, one after the other, without what they hold being parsed. */
    private final class Fields {
        private long at;
        private final long end;
        private long start;
        private int type;
        private int number;
        private MemorySegment value;

        Fields(long at, long end) {
            this.at = at;
            this.end = end;
        }

        boolean isBytes() {
            return type == WireFormat.WIRETYPE_LENGTH_DELIMITED;
        }

        /** The field's value as a message. */
        Fields message() {
            return new Fields(at - value.byteSize(), at);
        }

        /** The whole field with its tag. */
        byte[] bytes() {
            return content.asSlice(start, at - start).toArray(ValueLayout.JAVA_BYTE);
        }

        boolean next() throws Damage {
            if (at == end) {
                return false;
            }
            start = at;
            long tag = varint();
            type = (int) (tag & 7);
            if (tag >>> 3 == 0 || tag >>> 32 != 0) {
                throw new Damage("there is no field at byte " + start);
            }
            number = (int) (tag >>> 3);
            long length =
                    switch (type) {
                        case WireFormat.WIRETYPE_VARINT -> {
                            varint();
                            yield 0;
                        }
                        case WireFormat.WIRETYPE_FIXED32 -> Integer.BYTES;
                        case WireFormat.WIRETYPE_FIXED64 -> Long.BYTES;
                        case WireFormat.WIRETYPE_LENGTH_DELIMITED -> varint();
                        default -> throw new Damage("there is no field at byte " + start);
                    };
            if (length < 0 || length > end - at) {
                throw new Damage("it ends before the field at byte " + start + " does");
            }
            value = content.asSlice(at, length);
            at += length;
            return true;
        }

        private long varint() throws Damage {
            long result = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                if (at == end) {
                    throw new Damage("it ends within a field");
                }
                byte part = content.get(ValueLayout.JAVA_BYTE, at++);
                result |= (part & 0x7fL) << shift;
                if (part >= 0) {
                    return result;
                }
            }
            throw new Damage("there is no number at byte " + (at - 10));
        }
    }

    /** The initializers by name, without numbers where {@link #numbers} has them. */
    public Map<String, TensorProto> initializers() {
        Map<String, TensorProto> byName = new LinkedHashMap<>();
        model.getGraph().getInitializerList().forEach(tensor -> byName.put(tensor.getName(), tensor));
        return byName;
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
}
