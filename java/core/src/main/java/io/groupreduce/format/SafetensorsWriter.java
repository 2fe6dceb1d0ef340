package io.groupreduce.format;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32C;

/** Writes safetensors files: streamed, verified by reading back, and put in place by a rename. */
public final class SafetensorsWriter {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int LENGTH_BYTES = 8;
    private static final int ALIGNMENT = 8;
    /** Data passes through a window of this many bytes, so that heap, native and mapped segments are written alike. */
    private static final int WINDOW = 1 << 20;

    /** Names of other formats, which programs and people would take the file for. */
    private static final List<String> OTHERS =
            List.of("onnx", "gguf", "npy", "npz", "bin", "pt", "pth", "ckpt", "h5", "ort", "tflite");

    private SafetensorsWriter() {}

    /** @throws InvalidOptionException if the name of a file to write is one of another format */
    public static void requireName(Path target) {
        requireName(target, "safetensors");
    }

    /**
     * As {@link #requireName(Path)}, of a file of any format.
     *
     * @param format what such files are called, behind the dot
     */
    public static void requireName(Path target, String format) {
        String name = target.getFileName() == null ? "" : target.getFileName().toString();
        int dot = name.lastIndexOf('.');
        String suffix = name.substring(dot + 1).toLowerCase(Locale.ROOT);
        if (dot >= 0 && !suffix.equals(format) && (OTHERS.contains(suffix) || suffix.equals("safetensors"))) {
            boolean written = suffix.equals("onnx") || suffix.equals("gguf");
            throw new InvalidOptionException(Wording.file(target) + " would be "
                    + (format.equals("onnx") ? "an ONNX" : format.equals("gguf") ? "a GGUF" : "a " + format)
                    + " file under the name of another format; name it "
                    + Wording.quoted(name.substring(0, dot) + "." + format)
                    + (written ? ", and then let 'groupreduce export --to " + suffix + "' write the other one." : "."));
        }
    }

    /**
     * Writes {@code tensors} in the given order to {@code target}. The data starts at a multiple of 8 bytes; whether a
     * tensor does is up to the order, since the format allows no gaps. Metadata is sorted, so that equal input gives equal
     * bytes.
     *
     * <p>The file is first written under a temporary name beside the target, then opened again; names, types, shapes and
     * checksums must agree before it replaces {@code target}. After a failure an earlier target is as it was.
     *
     * @throws InvalidOptionException if the target has the name of another format
     * @throws InvalidDataException if two tensors have one name, or a name is not Unicode text or is reserved
     * @throws FileAccessException if the disk is full, the directory is missing, or what was written reads back otherwise
     */
    public static void write(Path target, List<Tensor> tensors, Map<String, String> metadata) {
        requireName(target);
        write(target, tensors, metadata, UnaryOperator.identity());
    }

    /** {@code wiring} lies between this writer and the file; tests put failing channels there. */
    static void write(
            Path target,
            List<Tensor> tensors,
            Map<String, String> metadata,
            UnaryOperator<WritableByteChannel> wiring) {
        checkNames(target, tensors, metadata);
        byte[] header = header(target, tensors, metadata);
        long bytes = LENGTH_BYTES + header.length;
        for (Tensor tensor : tensors) {
            bytes += tensor.bytes();
        }
        List<Long> checksums = new ArrayList<>();
        AtomicFile.write(
                target,
                bytes,
                channel -> stream(channel, header, tensors, checksums),
                temporary -> verify(target, temporary, tensors, metadata, checksums),
                wiring);
    }

    /** @throws InvalidDataException if two tensors have one name, or a name or the metadata is not Unicode text or is reserved */
    static void checkNames(Path target, List<Tensor> tensors, Map<String, String> metadata) {
        Set<String> names = new HashSet<>();
        for (Tensor tensor : tensors) {
            if (!names.add(tensor.name())) {
                throw new InvalidDataException(Wording.file(target) + " cannot hold two tensors named "
                        + Wording.quoted(tensor.name()) + "; rename one.");
            }
        }
        if (names.contains(SafetensorsHeader.METADATA)) {
            throw new InvalidDataException(Wording.file(target) + " cannot hold a tensor named "
                    + SafetensorsHeader.METADATA + ", which the format reserves; rename it.");
        }
        names.addAll(metadata.keySet());
        names.addAll(metadata.values());
        for (String text : names) {
            if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
                throw new InvalidDataException(Wording.file(target) + " cannot hold the text " + Wording.quoted(text)
                        + ", which has half of a surrogate pair.");
            }
        }
    }

    /** The JSON header, padded with spaces so that the data after it is aligned. */
    private static byte[] header(Path target, List<Tensor> tensors, Map<String, String> metadata) {
        ObjectNode json = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            new TreeMap<>(metadata).forEach(json.putObject(SafetensorsHeader.METADATA)::put);
        }
        long at = 0;
        for (Tensor tensor : tensors) {
            json.set(tensor.name(), entry(tensor, at));
            at += tensor.bytes();
        }
        byte[] text;
        try {
            text = JSON.writeValueAsBytes(json);
        } catch (IOException e) {
            throw Wording.cannotWrite(target, 0, e);
        }
        int padded = Math.ceilDiv(text.length, ALIGNMENT) * ALIGNMENT;
        if (padded > InputFile.LONGEST_JSON) {
            throw new InvalidDataException(Wording.file(target) + " would have a header of " + padded
                    + " bytes, more than the " + InputFile.LONGEST_JSON + " that the format allows.");
        }
        byte[] header = Arrays.copyOf(text, padded);
        Arrays.fill(header, text.length, padded, (byte) ' ');
        return header;
    }

    private static ObjectNode entry(Tensor tensor, long at) {
        ObjectNode entry = JSON.createObjectNode().put("dtype", tensor.type().name());
        entry.set("shape", JSON.valueToTree(tensor.shape()));
        entry.putArray("data_offsets").add(at).add(at + tensor.bytes());
        return entry;
    }

    /** Bytes of the header for a tensor that lies at {@code at} of the data, with a comma. */
    static long entryBytes(Tensor tensor, long at) {
        return memberBytes(Map.entry(tensor.name(), entry(tensor, at)));
    }

    /** Bytes of the header for a member of an object, with a comma. */
    static long memberBytes(Map.Entry<String, ?> member) {
        String braced =
                JSON.valueToTree(Map.of(member.getKey(), member.getValue())).toString();
        // Two braces less, a comma more.
        return braced.getBytes(StandardCharsets.UTF_8).length - 1L;
    }

    private static void stream(WritableByteChannel channel, byte[] header, List<Tensor> tensors, List<Long> checksums)
            throws IOException {
        ByteBuffer window = ByteBuffer.allocateDirect(WINDOW);
        window.order(ByteOrder.LITTLE_ENDIAN).putLong(header.length).flip();
        AtomicFile.writeFully(channel, window);
        AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
        for (Tensor tensor : tensors) {
            CRC32C checksum = new CRC32C();
            for (long at = 0; at < tensor.bytes(); at += WINDOW) {
                fill(window, tensor.data(), at);
                checksum.update(window.duplicate());
                AtomicFile.writeFully(channel, window);
            }
            checksums.add(checksum.getValue());
        }
    }

    private static void fill(ByteBuffer window, MemorySegment data, long at) {
        long n = Math.min(WINDOW, data.byteSize() - at);
        MemorySegment.copy(data, at, MemorySegment.ofBuffer(window.clear()), 0, n);
        window.limit((int) n);
    }

    private static void verify(
            Path target, Path temporary, List<Tensor> tensors, Map<String, String> metadata, List<Long> checksums) {
        try (Safetensors written = Safetensors.open(temporary)) {
            List<Tensor> found = List.copyOf(written.tensors().values());
            if (found.size() != tensors.size() || !written.metadata().equals(metadata)) {
                throw readsBackOtherwise(target, "its header", null);
            }
            ByteBuffer window = ByteBuffer.allocateDirect(WINDOW);
            for (int i = 0; i < found.size(); i++) {
                Tensor a = tensors.get(i);
                Tensor b = found.get(i);
                boolean same = a.name().equals(b.name())
                        && a.type() == b.type()
                        && Arrays.equals(a.shape(), b.shape())
                        && checksum(b.data(), window) == checksums.get(i);
                if (!same) {
                    throw readsBackOtherwise(target, "tensor " + Wording.quoted(a.name()), null);
                }
            }
        } catch (MalformedFileException e) {
            throw readsBackOtherwise(target, "its header", e);
        }
    }

    private static long checksum(MemorySegment data, ByteBuffer window) {
        CRC32C checksum = new CRC32C();
        for (long at = 0; at < data.byteSize(); at += WINDOW) {
            fill(window, data, at);
            checksum.update(window);
        }
        return checksum.getValue();
    }

    private static FileAccessException readsBackOtherwise(Path target, String part, Throwable cause) {
        return new FileAccessException(
                Wording.file(target) + " was not written: " + part + " reads back otherwise than it was written;"
                        + " check the disk.",
                cause);
    }
}
