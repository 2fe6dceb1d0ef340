package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Writes a compressed model as a plain one: every matrix multiplied out, in the element type it came in, or F32 where the file
 * does not say that. A product beyond the largest number of that type becomes that number.
 *
 * <p>A bias that came with a compressed matrix takes the name, the shape and the type of the model's own; where the model has none, it is
 * added as {@code X.bias} for {@code X.weight}, in the type of the matrix.
 */
public final class DenseExport {
    private static final int TILE_NUMBERS = 1 << 18;

    private final CompressedFile source;

    private DenseExport(CompressedFile source) {
        this.source = source;
    }

    /**
     * Writes the model. Matrices are multiplied out into a scratch file beside the target, which is gone afterwards, so memory
     * stays small however large they are.
     *
     * @throws InvalidOptionException if the target has the name of another format
     * @throws FileAccessException if the target is a directory or cannot be written
     */
    public static void write(CompressedFile source, Path target) {
        SafetensorsWriter.requireName(target);
        DenseExport export = new DenseExport(source);
        try (Claim claim = Claim.of(OutputFile.destination(target), target, true);
                TemporaryFile scratch = claim.temporary();
                Arena arena = Arena.ofConfined()) {
            List<Tensor> tensors = export.tensors(export.multiplyOut(scratch, arena));
            SafetensorsWriter.write(target, tensors, source.sourceMetadata());
        } catch (IOException e) {
            long bytes =
                    source.matrices().values().stream().mapToLong(export::bytes).sum();
            throw Wording.cannotWrite(target, bytes, e);
        }
    }

    /**
     * Writes a compressed directory as a plain one with the same files.
     *
     * @param target claimed with {@link OutputFile#claimDirectory}
     * @throws FileAccessException if it cannot be written
     */
    public static void writeDirectory(CompressedFile source, OutputFile target) {
        DenseExport export = new DenseExport(source);
        ModelFolder folder = ModelFolder.of(source.path());
        try (TemporaryFile scratch = target.temporary();
                Arena arena = Arena.ofConfined()) {
            List<Tensor> tensors = export.tensors(export.multiplyOut(scratch, arena));
            folder.copy(
                    target,
                    source.files(),
                    (file, to) -> SafetensorsWriter.write(
                            to,
                            tensors.stream()
                                    .filter(tensor -> export.home(tensor.name()).equals(file))
                                    .toList(),
                            source.sourceMetadata(file)),
                    false);
        } catch (IOException e) {
            throw Wording.cannotWrite(target.path(), 0, e);
        }
    }

    /** The file of the source that a tensor goes to: that of what it was, or for a bias that is new that of its matrix. */
    private Path home(String tensor) {
        return source.copied().containsKey(tensor) || source.has(tensor)
                ? source.fileOf(tensor)
                : source.matrices().values().stream()
                        .filter(matrix ->
                                matrix.bias() != null && bias(matrix).name().equals(tensor))
                        .findFirst()
                        .map(matrix -> source.fileOf(matrix.name()))
                        .orElseThrow();
    }

    /** What the disk must have room for: matrices as they are multiplied out, and again in the model. */
    public static long bytesNeeded(CompressedFile source) {
        DenseExport export = new DenseExport(source);
        long products =
                source.matrices().values().stream().mapToLong(export::bytes).sum();
        long copied = source.copied().values().stream().mapToLong(Tensor::bytes).sum();
        return 2 * products + copied;
    }

    private List<Tensor> tensors(MemorySegment dense) {
        Map<String, Tensor> products = new LinkedHashMap<>();
        long at = 0;
        for (CompressedMatrix matrix : source.matrices().values()) {
            MemorySegment data = dense.asSlice(at, bytes(matrix));
            at += data.byteSize();
            long[] shape = {matrix.rows(), matrix.columns()};
            products.put(matrix.name(), new Tensor(matrix.name(), type(matrix), shape, data));
        }
        Map<String, Tensor> others = new LinkedHashMap<>(source.copied());
        List<Tensor> biases = source.matrices().values().stream()
                .filter(matrix -> matrix.bias() != null)
                .map(this::bias)
                .toList();
        biases.forEach(bias -> others.remove(bias.name()));
        List<Tensor> tensors = new ArrayList<>(others.values());
        tensors.addAll(biases);
        tensors.addAll(products.values());
        source.tied().forEach((name, stored) -> {
            Tensor product = products.get(stored);
            tensors.add(new Tensor(name, product.type(), product.shape(), product.data()));
        });
        tensors.sort((a, b) -> Integer.compare(b.type().bytes(), a.type().bytes()));
        return tensors;
    }

    private Tensor bias(CompressedMatrix matrix) {
        int rows = matrix.rows();
        String output = Stream.concat(Stream.of(matrix.name()), source.tied().keySet().stream())
                .filter(name -> source.require(name) == matrix && VocabularyNames.tells(name, Model.Role.OUTPUT))
                .findFirst()
                .orElse(matrix.name());
        String models = source.logits(matrix.name()).bias();
        Tensor own = models == null ? null : source.copied().get(models);
        // The trained numbers have not more than 8 bits of fraction.
        DType type = own == null ? type(matrix) : own.type() == DType.F64 ? DType.F32 : own.type();
        MemorySegment data = Arena.ofAuto().allocate((long) rows * type.bytes(), Float.BYTES);
        for (int i = 0; i < rows; i++) {
            store(data, type, i, matrix.bias()[i]);
        }
        return own == null
                ? new Tensor(SoftmaxBias.nameFor(output), type, new long[] {rows}, data)
                : new Tensor(own.name(), type, own.shape(), data);
    }

    private long bytes(CompressedMatrix matrix) {
        return (long) matrix.rows() * matrix.columns() * type(matrix).bytes();
    }

    private DType type(CompressedMatrix matrix) {
        return DType.parse(source.described(matrix.name()).path("dtype").asText())
                .filter(DType::compressible)
                .orElse(DType.F32);
    }

    /** Written through a channel, not through a mapping: a full disk must be an exception, not a fault. */
    private MemorySegment multiplyOut(TemporaryFile scratch, Arena arena) throws IOException {
        try (FileChannel channel = scratch.create()) {
            for (CompressedMatrix matrix : source.matrices().values()) {
                multiplyOut(matrix, type(matrix), channel);
            }
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }

    private static void multiplyOut(CompressedMatrix matrix, DType type, FileChannel channel) throws IOException {
        int columns = matrix.columns();
        int tileRows = Math.max(1, TILE_NUMBERS / columns);
        float[] tile = new float[tileRows * columns];
        ByteBuffer stored = ByteBuffer.allocate(tile.length * type.bytes());
        MemorySegment numbers = MemorySegment.ofBuffer(stored);
        for (long first = 0; first < matrix.rows(); first += tileRows) {
            int count = (int) Math.min(tileRows, matrix.rows() - first);
            matrix.decodeRows((int) first, count, tile, 0);
            for (int j = 0; j < count * columns; j++) {
                store(numbers, type, j, tile[j]);
            }
            AtomicFile.writeFully(channel, stored.clear().limit(count * columns * type.bytes()));
        }
    }

    static void store(MemorySegment numbers, DType type, long index, float value) {
        float largest = largest(type);
        float held = Math.clamp(value, -largest, largest);
        switch (type) {
            case F32 -> numbers.set(LittleEndian.F32, Float.BYTES * index, held);
            case F16 -> numbers.set(LittleEndian.I16, Short.BYTES * index, Float.floatToFloat16(held));
            default -> numbers.set(LittleEndian.I16, Short.BYTES * index, Bf16.round(held));
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
