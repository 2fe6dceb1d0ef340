package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.StoredPart;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The tensors that stand for one matrix NAME: {@code NAME.groups}, {@code NAME.codes}, {@code NAME.scales} and {@code NAME.bias}; and the
 * metadata that they need: {@code shape}, {@code groups}, {@code right} and {@code bias}.
 *
 * <p>Codes are the rows of group 0, then those of group 1 and so on, then those of the right factor of basis 0 and so on, without gaps, and
 * scales likewise: where each begins follows from the metadata and from how many rows each group has.
 */
final class CompressedLayout {
    private static final Pattern PART = Pattern.compile("(.*)\\.(?:groups|codes|scales)", Pattern.DOTALL);
    private static final Pattern NUMBER = Pattern.compile("0|[1-9][0-9]{0,4}");

    private static final String SEPARATOR = ",";

    /** No number of a basis, of dense rows or of zeros. */
    private static final int UNKNOWN = 256;

    private static final String BIAS = "bias";

    /** Right factors are decoded on opening: what that takes is a small multiple of what the file holds. */
    private static final int FEWEST_RIGHT_BITS = 3;

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
        tensors.add(bytes(name + ".groups", MemorySegment.ofArray(matrix.groupOf())));
        tensors.add(bytes(name + ".codes", joined(matrix.parts().map(EncodedMatrix::data), arena)));
        Stream<MemorySegment> scales = matrix.parts().map(EncodedMatrix::scales).filter(Objects::nonNull);
        tensors.add(bytes(name + ".scales", joined(scales, arena)));
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

    /** What the stored tensors do not say, for the metadata. */
    static Map<String, Object> description(CompressedMatrix matrix) {
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("shape", List.of(matrix.rows(), matrix.columns()));
        description.put("groups", text(matrix.describedGroups()));
        description.put("right", text(matrix.describedBases()));
        if (matrix.bias() != null) {
            description.put(BIAS, true);
        }
        return description;
    }

    private static String text(List<StoredPart> parts) {
        return parts.stream().map(StoredPart::text).collect(Collectors.joining(SEPARATOR));
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
     * @throws MalformedFileException if a part is missing or does not fit the others
     */
    CompressedMatrix read() {
        int[] shape = shape();
        int rows = shape[0];
        int columns = shape[1];
        List<StoredPart> groups = parts("groups", "groups", 1, GroupPlan.MAX_GROUPS, columns);
        List<StoredPart> bases = parts("right", "bases", 0, GroupPlan.ZERO, columns);
        long[] directions = directions(bases, columns);
        List<GroupPlan> plans = plans(groups, directions, columns);
        byte[] groupOf = groupOf(rows);
        long[] sizes = sizes(groupOf, plans.size());

        Bytes codes = new Bytes("codes");
        Bytes scales = new Bytes("scales");
        // A group with rows stores that much; without rows its description could be all there is, of 46,340 numbers in
        // eight characters.
        long described =
                groups.stream().mapToLong(group -> group.profile().width()).sum();
        if (described > Byte.SIZE * codes.tensor.bytes()) {
            throw damaged("the groups of " + quoted() + " have rows of " + described + " numbers, more than "
                    + quoted("codes") + " has bits");
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < plans.size(); g++) {
            left.add(plans.get(g).isZero() ? null : stored(groups.get(g), sizes[g], codes, scales));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < directions.length; b++) {
            right.add(stored(bases.get(b), directions[b], codes, scales));
        }
        codes.requireUsedUp();
        scales.requireUsedUp();
        Stream.concat(left.stream().filter(Objects::nonNull), right.stream()).forEach(this::requireScales);
        CompressedMatrix matrix = new CompressedMatrix(name, columns, groupOf, plans, left, right);
        for (int b = 0; b < matrix.bases(); b++) {
            // Decoded ones, since a finite scale can still make an infinite number of a value.
            Matrix factor = Matrix.of("right factor " + b, matrix.decodedRight(b), (int) directions[b], columns);
            requireFinite(factor.name() + " of " + quoted(), factor);
        }
        JsonNode biased = provenance.path(BIAS);
        if (!biased.isMissingNode() && !biased.isBoolean()) {
            throw damaged("the metadata of " + quoted() + " has a '" + BIAS + "' that is neither true nor false");
        }
        return biased.asBoolean(false) ? matrix.withBias(bias(rows)) : matrix;
    }

    private int[] shape() {
        JsonNode shape = provenance.path("shape");
        if (!shape.isArray() || shape.size() != 2 || !shape.valueStream().allMatch(JsonNode::isIntegralNumber)) {
            throw damaged("the metadata of " + quoted() + " lacks 'shape' with 2 whole numbers");
        }
        int[] sides = {side(shape.get(0), CompressedMatrix.MAX_ROWS), side(shape.get(1), CompressedMatrix.MAX_COLUMNS)};
        if (sides[0] < 1 || sides[1] < 1) {
            throw damaged("the metadata of " + quoted() + " gives the shape " + Wording.quoted(shape.toString())
                    + ", where rows lie between 1 and " + CompressedMatrix.MAX_ROWS + " and columns between 1 and "
                    + CompressedMatrix.MAX_COLUMNS);
        }
        return sides;
    }

    /** 0 for a number that is out of range. */
    private static int side(JsonNode number, int most) {
        return number.canConvertToInt() && number.intValue() <= most ? number.intValue() : 0;
    }

    /** Descriptions of groups or bases, in order; counted before they are read, since a short one may be of many numbers. */
    private List<StoredPart> parts(String key, String word, int fewest, int most, int columns) {
        JsonNode text = provenance.path(key);
        if (!text.isTextual()) {
            throw damaged("the metadata of " + quoted() + " lacks the text '" + key + "'");
        }
        String[] all =
                text.textValue().isEmpty() ? new String[0] : text.textValue().split(SEPARATOR, -1);
        if (all.length < fewest || all.length > most) {
            throw damaged("the metadata of " + quoted() + " describes " + all.length + " " + word + " where " + fewest
                    + " to " + most + " are possible");
        }
        List<StoredPart> parts = new ArrayList<>();
        for (String part : all) {
            try {
                parts.add(StoredPart.parse(part, columns));
            } catch (IllegalArgumentException e) {
                throw damaged(
                        path,
                        "the '" + key + "' of " + quoted() + " say " + Wording.quoted(part)
                                + ", where bits and how many of the " + columns
                                + " numbers have them are expected, 1 to 8 that never rise, or only 16 or 32, and how"
                                + " scales are stored",
                        e);
            }
        }
        return parts;
    }

    /** How many rows each right factor has. */
    private long[] directions(List<StoredPart> bases, int columns) {
        long[] directions = new long[bases.size()];
        for (int b = 0; b < directions.length; b++) {
            StoredPart basis = bases.get(b);
            directions[b] = NUMBER.matcher(basis.what()).matches() ? Long.parseLong(basis.what()) : 0;
            BitProfile row = basis.profile();
            boolean fits = row.width() == columns && row.bits(columns - 1) >= FEWEST_RIGHT_BITS;
            if (directions[b] < 1 || directions[b] > columns || !fits) {
                throw damaged("basis " + b + " of " + quoted() + " is " + Wording.quoted(basis.text()) + " where 1 to "
                        + columns + " directions of " + columns + " numbers of " + FEWEST_RIGHT_BITS
                        + " bits or more are needed");
            }
        }
        return directions;
    }

    private List<GroupPlan> plans(List<StoredPart> groups, long[] directions, int columns) {
        List<GroupPlan> plans = new ArrayList<>();
        boolean[] used = new boolean[directions.length];
        for (int g = 0; g < groups.size(); g++) {
            StoredPart group = groups.get(g);
            int basis = basis(group.what());
            int width = group.profile().width();
            boolean fits =
                    switch (basis) {
                        case GroupPlan.ZERO -> width == 0;
                        case GroupPlan.DENSE -> width == columns;
                        default -> basis < directions.length && width >= 1 && width <= directions[basis];
                    };
            if (!fits) {
                throw damaged("group " + g + " of " + quoted() + " is " + Wording.quoted(group.text()) + ", which is"
                        + " neither zero, nor dense rows of " + columns + " numbers, nor as many coordinates as one of"
                        + " the " + directions.length + " bases has");
            }
            if (basis < directions.length) {
                used[basis] = true;
            }
            plans.add(new GroupPlan(basis, group.profile()));
        }
        for (int b = 0; b < used.length; b++) {
            if (!used[b]) {
                throw damaged("no group of " + quoted() + " uses basis " + b);
            }
        }
        return plans;
    }

    /** The number in a {@link GroupPlan}; {@link #UNKNOWN} of what is none. */
    private static int basis(String what) {
        return switch (what) {
            case StoredPart.DENSE -> GroupPlan.DENSE;
            case StoredPart.ZERO -> GroupPlan.ZERO;
            default -> {
                int number = NUMBER.matcher(what).matches() ? Integer.parseInt(what) : UNKNOWN;
                yield number < GroupPlan.ZERO ? number : UNKNOWN;
            }
        };
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
        DType type = part.scaleFormat().type();
        MemorySegment stored = part.scales();
        requireFinite(quoted("scales"), Matrix.of("scales", type, part.rows(), part.scalesPerRow(), stored));
        // The byte of the sign is the last one of each.
        for (long at = type.bytes() - 1; at < stored.byteSize(); at += type.bytes()) {
            if (stored.get(ValueLayout.JAVA_BYTE, at) < 0) {
                long row = at / type.bytes() / part.scalesPerRow();
                throw damaged(quoted("scales") + " holds a scale with a minus sign in row " + row);
            }
        }
    }

    /** A tensor that is taken apart from its first byte to its last. */
    private final class Bytes {
        private final Tensor tensor;
        private long at;

        Bytes(String suffix) {
            tensor = take(suffix);
            if (tensor.type() != DType.U8 || tensor.shape().length != 1) {
                throw damaged(Wording.quoted(tensor.name()) + " must be a U8 vector");
            }
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
