package io.groupreduce.models.gguf;

import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.AtomicFile;
import io.groupreduce.format.Wording;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Writes a GGUF model again, with other data and types for some of its tensors. All other metadata and tensors stay as they are, byte for byte
 * and in their order; of a split model one file is made.
 */
final class GgufWriter {
    private static final String QUANTISATION = "general.quantization_version";

    /** That of all block layouts that are in use. */
    private static final int QUANTISATION_VERSION = 2;

    private static final int UINT32 = 4;
    private static final String SPLIT = "split.";
    private static final int PIECE = 1 << 24;

    private final GgufFile source;
    private final Map<String, GgufTensor> tensors;
    private final byte[] head;

    /** @param tensors all tensors of the model, in its order: its own, or others of the same name and shape */
    GgufWriter(GgufFile source, Map<String, GgufTensor> tensors) {
        this.source = source;
        this.tensors = tensors;
        head = head();
    }

    /** Bytes of the file. */
    long bytes() {
        return head.length
                + tensors.values().stream()
                        .mapToLong(tensor -> padded(tensor.data().byteSize()))
                        .sum();
    }

    /** Writes the file, and reads it again before it takes its name. */
    void write(Path target) {
        AtomicFile.write(target, this::writeTo, this::requireSame);
    }

    private byte[] head() {
        Bytes out = new Bytes();
        GgufMetadata metadata = source.metadata();
        List<String> keys =
                metadata.keys().stream().filter(key -> !key.startsWith(SPLIT)).toList();
        boolean lacksVersion = !metadata.keys().contains(QUANTISATION)
                && tensors.values().stream().anyMatch(tensor -> tensor.type().blockElements() > 1);
        out.int32(GgufPart.MAGIC);
        out.int32(source.first().version());
        out.int64(tensors.size());
        out.int64(keys.size() + (lacksVersion ? 1 : 0));
        keys.forEach(key -> out.writeBytes(metadata.pair(key).toArray(ValueLayout.JAVA_BYTE)));
        if (lacksVersion) {
            out.text(QUANTISATION);
            out.int32(UINT32);
            out.int32(QUANTISATION_VERSION);
        }
        long offset = 0;
        for (GgufTensor tensor : tensors.values()) {
            long[] shape = tensor.shape();
            out.text(tensor.name());
            out.int32(shape.length);
            for (int i = shape.length - 1; i >= 0; i--) {
                out.int64(shape[i]);
            }
            out.int32(tensor.type().number());
            out.int64(offset);
            offset += padded(tensor.data().byteSize());
        }
        out.writeBytes(new byte[(int) (padded(out.size()) - out.size())]);
        return out.toByteArray();
    }

    private long padded(long bytes) {
        return source.first().padded(bytes);
    }

    private void writeTo(WritableByteChannel channel) throws IOException {
        AtomicFile.writeFully(channel, ByteBuffer.wrap(head));
        for (GgufTensor tensor : tensors.values()) {
            MemorySegment data = tensor.data();
            for (long at = 0; at < data.byteSize(); at += PIECE) {
                long piece = Math.min(PIECE, data.byteSize() - at);
                AtomicFile.writeFully(channel, data.asSlice(at, piece).asByteBuffer());
            }
            AtomicFile.writeFully(channel, ByteBuffer.allocate((int) (padded(data.byteSize()) - data.byteSize())));
        }
    }

    private void requireSame(Path written) {
        try (GgufFile file = GgufFile.open(written)) {
            for (GgufTensor tensor : tensors.values()) {
                GgufTensor read = file.tensors().get(tensor.name());
                if (read == null
                        || read.type() != tensor.type()
                        || read.data().mismatch(tensor.data()) >= 0
                        || file.tensors().size() != tensors.size()) {
                    throw new MalformedFileException(Wording.file(written) + ": tensor "
                            + Wording.quoted(tensor.name())
                            + " was not written as it should be; check the disk and run it again.");
                }
            }
        }
    }

    /** Little-endian. */
    private static final class Bytes extends ByteArrayOutputStream {
        void int32(int number) {
            writeBytes(ByteBuffer.allocate(Integer.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(number)
                    .array());
        }

        void int64(long number) {
            writeBytes(ByteBuffer.allocate(Long.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(number)
                    .array());
        }

        void text(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            int64(bytes.length);
            writeBytes(bytes);
        }
    }
}
