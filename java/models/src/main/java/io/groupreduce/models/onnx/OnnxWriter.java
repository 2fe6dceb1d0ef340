package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.AtomicFile;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.Wording;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Writes an ONNX model whose larger initializers lie elsewhere: in mapped files, or in memory of their own. */
public final class OnnxWriter {
    /** The most bytes of a message of protocol buffers. */
    public static final long LONGEST_MESSAGE = Integer.MAX_VALUE;

    /** Where mapped data of a tensor may begin. */
    private static final int PAGE = 4096;

    /** Pieces in which numbers are written. */
    private static final int PIECE = 1 << 24;

    private final ModelProto model;
    private final Map<String, MemorySegment> numbers;

    /**
     * @param model the model; initializers of a name in {@code numbers} have none of their own
     * @param numbers little-endian and row-major
     */
    public OnnxWriter(ModelProto model, Map<String, MemorySegment> numbers) {
        this.model = model;
        this.numbers = numbers;
    }

    public ModelProto model() {
        return model;
    }

    public Map<String, MemorySegment> numbers() {
        return numbers;
    }

    /** Bytes of the model in one file. */
    public long bytes() {
        long data = numbers.values().stream().mapToLong(MemorySegment::byteSize).sum();
        return model.getSerializedSize() + data + 20L * numbers.size();
    }

    /**
     * Writes one file.
     *
     * @param check throws if the finished temporary file may not take the target's name
     * @throws InvalidDataException if it would be longer than {@link #LONGEST_MESSAGE}
     */
    public void write(Path target, Consumer<Path> check) {
        if (bytes() > LONGEST_MESSAGE) {
            throw new InvalidDataException(Wording.file(target) + " would have " + bytes() + " bytes, and one ONNX file"
                    + " cannot have more than " + LONGEST_MESSAGE + "; write the numbers to a file beside it.");
        }
        OutputFile.requireRoom(target, bytes());
        AtomicFile.write(target, this::writeTo, check);
    }

    /**
     * Writes the larger numbers to a file of their own, which a runtime maps, and the model with their places.
     *
     * @param data in the same folder as the model, which then names it; and by no other
     * @param check throws if a model may not take the target's name, which is given with its data under temporary names
     */
    public void write(Path target, Path data, Consumer<Path> check) {
        Map<String, Long> offsets = new LinkedHashMap<>();
        long end = 0;
        for (Map.Entry<String, MemorySegment> tensor : numbers.entrySet()) {
            offsets.put(tensor.getKey(), end);
            end += (tensor.getValue().byteSize() + PAGE - 1) / PAGE * PAGE;
        }
        OutputFile.requireRoom(data, end);
        AtomicFile.Content content = channel -> {
            for (MemorySegment tensor : numbers.values()) {
                writeNumbers(tensor, channel);
                int rest = (int) (-tensor.byteSize() & PAGE - 1);
                AtomicFile.writeFully(channel, ByteBuffer.allocate(rest));
            }
        };
        AtomicFile.write(data, content, temporary -> {
            // What is checked names the data by the name that they have so far.
            Path probe = temporary.resolveSibling(temporary.getFileName() + ".onnx");
            try {
                AtomicFile.writeBytes(probe, outside(temporary, offsets));
                check.accept(probe);
            } finally {
                delete(probe);
            }
            AtomicFile.writeBytes(target, outside(data, offsets));
        });
    }

    private static void delete(Path probe) {
        try {
            Files.deleteIfExists(probe);
        } catch (IOException e) {
            throw Wording.cannotWrite(probe, 0, e);
        }
    }

    /** The model with its larger numbers in a file beside it. */
    private byte[] outside(Path data, Map<String, Long> offsets) {
        ModelProto.Builder outside = model.toBuilder();
        for (TensorProto.Builder tensor : outside.getGraphBuilder().getInitializerBuilderList()) {
            MemorySegment stored = numbers.get(tensor.getName());
            if (stored != null) {
                bare(tensor)
                        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                        .addExternalData(entry("location", data.getFileName().toString()))
                        .addExternalData(entry("offset", Long.toString(offsets.get(tensor.getName()))))
                        .addExternalData(entry("length", Long.toString(stored.byteSize())));
            }
        }
        return outside.build().toByteArray();
    }

    private static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }

    private void writeTo(WritableByteChannel channel) throws IOException {
        GraphProto graph = model.getGraph();
        byte[] around = model.toBuilder().clearGraph().build().toByteArray();
        byte[] body = graph.toBuilder().clearInitializer().build().toByteArray();
        List<byte[]> heads = new ArrayList<>();
        long length = body.length;
        for (TensorProto tensor : graph.getInitializerList()) {
            byte[] head = head(tensor);
            long whole = head.length + size(tensor);
            heads.add(prefix(GraphProto.INITIALIZER_FIELD_NUMBER, whole));
            heads.add(head);
            length += heads.get(heads.size() - 2).length + whole;
        }
        AtomicFile.writeFully(channel, ByteBuffer.wrap(around));
        AtomicFile.writeFully(channel, ByteBuffer.wrap(prefix(ModelProto.GRAPH_FIELD_NUMBER, length)));
        AtomicFile.writeFully(channel, ByteBuffer.wrap(body));
        for (int i = 0; i < graph.getInitializerCount(); i++) {
            AtomicFile.writeFully(channel, ByteBuffer.wrap(heads.get(2 * i)));
            AtomicFile.writeFully(channel, ByteBuffer.wrap(heads.get(2 * i + 1)));
            if (numbers.containsKey(graph.getInitializer(i).getName())) {
                writeNumbers(numbers.get(graph.getInitializer(i).getName()), channel);
            }
        }
    }

    /** A tensor up to its numbers, if those lie elsewhere. */
    private byte[] head(TensorProto tensor) throws IOException {
        if (!numbers.containsKey(tensor.getName())) {
            return tensor.toByteArray();
        }
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        bare(tensor.toBuilder()).build().writeTo(head);
        head.write(prefix(TensorProto.RAW_DATA_FIELD_NUMBER, size(tensor)));
        return head.toByteArray();
    }

    /** Without numbers of its own and their place. */
    private static TensorProto.Builder bare(TensorProto.Builder tensor) {
        return tensor.clearRawData()
                .clearFloatData()
                .clearDoubleData()
                .clearInt32Data()
                .clearInt64Data()
                .clearUint64Data()
                .clearExternalData()
                .clearDataLocation();
    }

    private long size(TensorProto tensor) {
        MemorySegment stored = numbers.get(tensor.getName());
        return stored == null ? 0 : stored.byteSize();
    }

    private static byte[] prefix(int field, long length) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        out.writeTag(field, WireFormat.WIRETYPE_LENGTH_DELIMITED);
        out.writeUInt64NoTag(length);
        out.flush();
        return bytes.toByteArray();
    }

    private static void writeNumbers(MemorySegment numbers, WritableByteChannel channel) throws IOException {
        for (long at = 0; at < numbers.byteSize(); at += PIECE) {
            long piece = Math.min(PIECE, numbers.byteSize() - at);
            AtomicFile.writeFully(channel, numbers.asSlice(at, piece).asByteBuffer());
        }
    }
}
