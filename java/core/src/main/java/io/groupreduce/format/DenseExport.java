package io.groupreduce.format;

import io.groupreduce.Bf16;
import io.groupreduce.CompressedMatrix;
import io.groupreduce.FileAccessException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes a compressed model as a plain one: every matrix multiplied out, in the element type it came in, or F32 where the file
 * does not say that. A product beyond the largest number of that type becomes that number.
 */
public final class DenseExport {
    private static final int TILE_NUMBERS = 1 << 18;

    private DenseExport() {}

    /**
     * Writes the model. Matrices are multiplied out into a scratch file beside the target, which is gone afterwards, so memory
     * stays small however large they are.
     *
     * @throws FileAccessException if the target is a directory or cannot be written
     */
    public static void write(CompressedFile source, Path target) {
        if (Files.isDirectory(target)) {
            throw new FileAccessException(Wording.file(target) + " is a directory; give the name of a file to write.");
        }
        long bytes = 0;
        for (CompressedMatrix matrix : source.matrices().values()) {
            bytes += bytes(source, matrix);
        }
        Path scratch = null;
        try (Arena arena = Arena.ofConfined()) {
            scratch = Files.createTempFile(target.toAbsolutePath().getParent(), ".groupreduce-export", ".tmp");
            // Also removed when a signal ends the process.
            scratch.toFile().deleteOnExit();
            SafetensorsWriter.write(
                    target, tensors(source, multiplyOut(source, scratch, arena)), source.sourceMetadata());
        } catch (IOException e) {
            throw Wording.cannotWrite(target, bytes, e);
        } finally {
            if (scratch != null) {
                scratch.toFile().delete();
            }
        }
    }

    private static List<Tensor> tensors(CompressedFile source, MemorySegment dense) {
        Map<String, Tensor> products = new HashMap<>();
        long at = 0;
        for (CompressedMatrix matrix : source.matrices().values()) {
            MemorySegment data = dense.asSlice(at, bytes(source, matrix));
            at += data.byteSize();
            long[] shape = {matrix.rows(), matrix.columns()};
            products.put(matrix.name(), new Tensor(matrix.name(), type(source, matrix), shape, data));
        }
        List<Tensor> tensors = new ArrayList<>(source.copied().values());
        source.matrices().keySet().forEach(name -> tensors.add(products.get(name)));
        source.tied().forEach((name, stored) -> {
            Tensor product = products.get(stored);
            tensors.add(new Tensor(name, product.type(), product.shape(), product.data()));
        });
        tensors.sort((a, b) -> Integer.compare(b.type().bytes(), a.type().bytes()));
        return tensors;
    }

    private static long bytes(CompressedFile source, CompressedMatrix matrix) {
        return (long) matrix.rows() * matrix.columns() * type(source, matrix).bytes();
    }

    private static DType type(CompressedFile source, CompressedMatrix matrix) {
        return DType.parse(source.provenance(matrix.name()).path("dtype").asText())
                .filter(DType::compressible)
                .orElse(DType.F32);
    }

    /** Written through a channel, not through a mapping: a full disk must be an exception, not a fault. */
    private static MemorySegment multiplyOut(CompressedFile source, Path scratch, Arena arena) throws IOException {
        try (FileChannel channel = FileChannel.open(scratch, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            for (CompressedMatrix matrix : source.matrices().values()) {
                multiplyOut(matrix, type(source, matrix), channel);
            }
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }

    private static void multiplyOut(CompressedMatrix matrix, DType type, FileChannel channel) throws IOException {
        int columns = matrix.columns();
        int tileRows = Math.max(1, TILE_NUMBERS / columns);
        float largest = largest(type);
        float[] tile = new float[tileRows * columns];
        ByteBuffer stored = ByteBuffer.allocate(tile.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (long first = 0; first < matrix.rows(); first += tileRows) {
            int count = (int) Math.min(tileRows, matrix.rows() - first);
            matrix.decodeRows((int) first, count, tile, 0);
            stored.clear();
            for (int j = 0; j < count * columns; j++) {
                float value = Math.max(-largest, Math.min(largest, tile[j]));
                switch (type) {
                    case F32 -> stored.putFloat(value);
                    case F16 -> stored.putShort(Float.floatToFloat16(value));
                    default -> stored.putShort(Bf16.round(value));
                }
            }
            AtomicFile.writeFully(channel, stored.flip());
        }
    }

    /** Rounding to the type would make an infinity of anything clearly larger. */
    private static float largest(DType type) {
        return switch (type) {
            case F32 -> Float.MAX_VALUE;
            case F16 -> 65_504f;
            default -> Bf16.widen((short) 0x7f7f);
        };
    }
}
