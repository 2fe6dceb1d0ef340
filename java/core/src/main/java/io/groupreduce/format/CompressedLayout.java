package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.packed.PackedMatrix;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.PackedParts;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.StoredPart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The tensors that stand for one matrix NAME: {@code NAME.groups}, {@code NAME.codes}, {@code NAME.scales} and {@code NAME.bias}; and the
 * metadata that they need: {@code shape}, {@code groups}, {@code right} and {@code bias}.
 *
 * <p>Codes are the rows of group 0, then those of group 1 and so on, then those of the right factor of basis 0 and so on, without gaps, and
 * scales likewise: where each begins follows from the metadata and from how many rows each group has.
 */
final class CompressedLayout {
    private static final Pattern PART = Pattern.compile("(.*)\\.(?:groups|codes|scales|rows|right)", Pattern.DOTALL);
    static final String BIAS = "bias";
    static final String PACKED = "packed";

    private final Path path;
    private final String name;
    private final JsonNode provenance;
    private final Map<String, Tensor> rest;

    /** {@code rest} loses the tensors that {@link #read} takes. */
    CompressedLayout(Path path, String name, JsonNode provenance, Map<String, Tensor> rest) {
        this.path = path;
        this.name = name;
        this.provenance = provenance;
        this.rest = rest;
    }

    /** The tensors to store for a matrix, in memory of {@code arena}. */
    static List<Tensor> tensors(CompressedMatrix matrix, Arena arena) {
        List<Tensor> tensors = new ArrayList<>();
        String name = matrix.name();
        if (matrix.packed() != null) {
            tensors.add(bytes(name + ".rows", matrix.packed().rows()));
            tensors.add(bytes(name + ".right", matrix.packed().right()));
        } else {
            tensors.add(bytes(name + ".groups", MemorySegment.ofArray(matrix.groupOf())));
            tensors.add(bytes(name + ".codes", joined(matrix.parts().map(EncodedMatrix::data), arena)));
            Stream<MemorySegment> scales =
                    matrix.parts().map(EncodedMatrix::scales).filter(Objects::nonNull);
            tensors.add(bytes(name + ".scales", joined(scales, arena)));
        }
        if (matrix.bias() != null) {
            int rows = matrix.rows();
            EncodedMatrix row = EncodedMatrix.allocate(arena, BitProfile.of(Codec.BF16, rows), 1, 1);
            row.encodeRow(0, matrix.bias(), 0);
            tensors.add(new Tensor(biasOf(name), DType.BF16, new long[] {rows}, row.data()));
        }
        return tensors;
    }

    private static Tensor bytes(String name, MemorySegment content) {
        return new Tensor(name, DType.U8, new long[] {content.byteSize()}, content);
    }

    private static MemorySegment joined(Stream<MemorySegment> pieces, Arena arena) {
        List<MemorySegment> all = pieces.toList();
        MemorySegment joined =
                arena.allocate(all.stream().mapToLong(MemorySegment::byteSize).sum());
        long at = 0;
        for (MemorySegment piece : all) {
            MemorySegment.copy(piece, 0, joined, at, piece.byteSize());
            at += piece.byteSize();
        }
        return joined;
    }

    /**
     * The matrix that a tensor of this name is a part of, if it is named like one. A tensor {@code NAME.bias} is no part by its
     * name alone: a model may have one of its own beside {@code NAME}.
     */
    static Optional<String> owner(String tensor) {
        Matcher part = PART.matcher(tensor);
        return part.matches() ? Optional.of(part.group(1)) : Optional.empty();
    }

    /** The name of the bias of a matrix that has one of its own. */
    static String biasOf(String matrix) {
        return matrix + "." + BIAS;
    }

    /**
     * Finds, checks and joins the tensors of the matrix. Right factors, scales and the bias must be finite; the numbers of left
     * factors are not looked at, so that opening a large file reads little of it.
     *
     * @param arena owns the memory of what was packed
     * @throws MalformedFileException if a part is missing or does not fit the others
     */
    CompressedMatrix read(Arena arena) {
        CompressedDescription described = CompressedDescription.read(path, name, provenance);
        CompressedMatrix matrix = is(PACKED) ? unpacked(described, arena) : stored(described);
        matrix.parts().forEach(this::requireScales);
        for (int b = 0; b < matrix.bases(); b++) {
            // Decoded ones, since a finite scale can still make an infinite number of a value.
            Matrix factor = Matrix.of(
                    "right factor " + b,
                    matrix.decodedRight(b),
                    (int) matrix.right(b).rows(),
                    matrix.columns());
            requireFinite(factor.name() + " of " + quoted(), factor);
        }
        return is(BIAS) ? matrix.withBias(bias(matrix.rows())) : matrix;
    }

    private boolean is(String key) {
        JsonNode flag = provenance.path(key);
        if (!flag.isMissingNode() && !flag.isBoolean()) {
            throw damaged("the metadata of " + quoted() + " has a '" + key + "' that is neither true nor false");
        }
        return flag.asBoolean(false);
    }

    private CompressedMatrix stored(CompressedDescription described) {
        byte[] groupOf = groupOf(described.rows());
        long[] sizes = sizes(groupOf, described.plans().size());
        Bytes codes = new Bytes("codes");
        Bytes scales = new Bytes("scales");
        // A group with rows stores that much; without rows its description could be all there is, of 46,340 numbers in
        // eight characters.
        long numbers = described.plans().stream().mapToLong(GroupPlan::rank).sum();
        if (numbers > Byte.SIZE * codes.tensor.bytes()) {
            throw damaged("the groups of " + quoted() + " have rows of " + numbers + " numbers, more than "
                    + quoted("codes") + " has bits");
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < sizes.length; g++) {
            boolean zero = described.plans().get(g).isZero();
            left.add(zero ? null : stored(described.groups().get(g), sizes[g], codes, scales));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (StoredPart basis : described.bases()) {
            right.add(stored(basis, described.directions(basis), codes, scales));
        }
        codes.requireUsedUp();
        scales.requireUsedUp();
        return new CompressedMatrix(name, described.columns(), groupOf, described.plans(), left, right);
    }

    private CompressedMatrix unpacked(CompressedDescription described, Arena arena) {
        PackedParts parts = new PackedParts(bytes("rows").data(), bytes("right").data());
        List<StoredPart> bases = described.bases();
        int rank = bases.isEmpty() ? 0 : described.directions(bases.getFirst());
        try {
            PackedMatrix unpacked =
                    PackedMatrix.unpack(parts, described.rows(), described.columns(), described.plans(), rank, arena);
            CompressedMatrix matrix = new CompressedMatrix(
                    name,
                    described.columns(),
                    unpacked.groupOf(),
                    described.plans(),
                    unpacked.left(),
                    unpacked.right());
            if (!matrix.describedGroups().equals(described.groups())
                    || !matrix.describedBases().equals(bases)) {
                throw new IllegalArgumentException("packed numbers are described with other bits or scales");
            }
            return matrix.withPacked(parts);
        } catch (IllegalArgumentException e) {
            throw damaged(path, e.getMessage() + " in " + quoted(), e);
        }
    }

    /** A tensor of bytes. */
    private Tensor bytes(String suffix) {
        Tensor tensor = take(suffix);
        if (tensor.type() != DType.U8 || tensor.shape().length != 1) {
            throw damaged(Wording.quoted(tensor.name()) + " must be a U8 vector");
        }
        return tensor;
    }

    private byte[] groupOf(int rows) {
        Tensor tensor = take("groups");
        // Before the copy, which no array could hold otherwise.
        if (tensor.type() != DType.U8 || tensor.shape().length != 1 || tensor.bytes() != rows) {
            throw damaged(Wording.quoted(tensor.name()) + " has type " + tensor.type() + " and shape "
                    + Wording.shape(tensor.shape()) + " where U8 and [" + rows + "] are needed");
        }
        return tensor.data().toArray(ValueLayout.JAVA_BYTE);
    }

    private long[] sizes(byte[] groupOf, int groups) {
        long[] sizes = new long[groups];
        for (byte entry : groupOf) {
            int g = entry & 0xff;
            if (g >= groups) {
                throw damaged(quoted("groups") + " names group " + g + " of " + groups);
            }
            sizes[g]++;
        }
        return sizes;
    }

    private EncodedMatrix stored(StoredPart part, long rows, Bytes codes, Bytes scales) {
        BitProfile profile = part.profile();
        MemorySegment data = codes.next(rows * profile.rowBytes());
        if (!profile.scaled()) {
            return new EncodedMatrix(profile, rows, part.block(), data, null, ScaleFormat.F32);
        }
        long perRow = Math.ceilDiv(profile.width(), part.block());
        MemorySegment itsScales = scales.next(rows * perRow * part.scales().bytes());
        return new EncodedMatrix(profile, rows, part.block(), data, itsScales, part.scales());
    }

    /** Every byte is one of {@link ScaleFormat#LOG8}. */
    private void requireScales(EncodedMatrix part) {
        if (part.rows() == 0 || part.scalesPerRow() == 0 || part.scaleFormat() == ScaleFormat.LOG8) {
            return;
        }
        String where = quoted(is(PACKED) ? "right" : "scales");
        DType type = part.scaleFormat().type();
        MemorySegment stored = part.scales();
        requireFinite(where, Matrix.of("scales", type, part.rows(), part.scalesPerRow(), stored));
        // The byte of the sign is the last one of each.
        for (long at = type.bytes() - 1; at < stored.byteSize(); at += type.bytes()) {
            if (stored.get(ValueLayout.JAVA_BYTE, at) < 0) {
                long row = at / type.bytes() / part.scalesPerRow();
                throw damaged(where + " holds a scale with a minus sign in row " + row);
            }
        }
    }

    /** A tensor that is taken apart from its first byte to its last. */
    private final class Bytes {
        private final Tensor tensor;
        private long at;

        Bytes(String suffix) {
            tensor = bytes(suffix);
        }

        MemorySegment next(long bytes) {
            if (bytes > tensor.bytes() - at) {
                throw damaged(Wording.quoted(tensor.name()) + " has " + tensor.bytes()
                        + " bytes, fewer than the groups and bases need");
            }
            at += bytes;
            return tensor.data().asSlice(at - bytes, bytes);
        }

        void requireUsedUp() {
            if (at != tensor.bytes()) {
                throw damaged(Wording.quoted(tensor.name()) + " has " + tensor.bytes()
                        + " bytes where the groups and bases need " + at);
            }
        }
    }

    private float[] bias(int rows) {
        Tensor tensor = take(BIAS);
        if (tensor.type() != DType.BF16 || tensor.shape().length != 1 || tensor.shape()[0] != rows) {
            throw damaged(Wording.quoted(tensor.name()) + " has type " + tensor.type() + " and shape "
                    + Wording.shape(tensor.shape()) + " where BF16 and [" + rows + "] are needed");
        }
        float[] values = tensor.floats();
        for (int i = 0; i < rows; i++) {
            if (!Float.isFinite(values[i])) {
                throw damaged(Wording.quoted(tensor.name()) + " holds " + values[i] + " at index " + i
                        + " where only finite numbers may stand");
            }
        }
        return values;
    }

    private Tensor take(String suffix) {
        Tensor tensor = rest.remove(name + "." + suffix);
        if (tensor == null) {
            throw damaged("the tensor " + quoted(suffix) + " is missing");
        }
        return tensor;
    }

    private void requireFinite(String what, Matrix numbers) {
        long bad = Finite.firstNot(numbers);
        if (bad >= 0) {
            throw damaged(what + " holds NaN or infinity in row " + bad / numbers.columns() + ", column "
                    + bad % numbers.columns());
        }
    }

    private String quoted() {
        return Wording.quoted(name);
    }

    private String quoted(String suffix) {
        return Wording.quoted(name + "." + suffix);
    }

    private MalformedFileException damaged(String what) {
        return damaged(path, what, null);
    }

    /** What to throw when a compressed file is not what its writer made. */
    static MalformedFileException damaged(Path path, String what, Throwable cause) {
        String message = Wording.file(path) + " is damaged: " + what + "; compress the model again.";
        return new MalformedFileException(message, cause);
    }
}
