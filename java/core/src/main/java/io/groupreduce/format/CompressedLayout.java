package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The tensors that stand for one matrix NAME: {@code NAME.group}, {@code NAME.basis}, {@code NAME.left.P}, {@code
 * NAME.left_scale.P}, {@code NAME.right.B}, {@code NAME.right_scale.B} and {@code NAME.bias}; and the metadata that they need:
 * {@code shape}, {@code ranks}, {@code codecs}, {@code rightCodecs} and {@code bias}.
 */
final class CompressedLayout {
    private static final Pattern PART =
            Pattern.compile("(.*)\\.(?:group|basis|(?:left|right)(?:_scale)?\\.[0-9]+)", Pattern.DOTALL);

    private static final String BIAS = "bias";

    /** The codec, in the metadata, of a group that stores nothing. */
    private static final String NO_CODEC = "none";

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

    /** The tensors to store for a matrix. */
    static List<Tensor> tensors(CompressedMatrix matrix) {
        List<Tensor> tensors = new ArrayList<>();
        String name = matrix.name();
        byte[] bases = new byte[matrix.groups().size()];
        for (int g = 0; g < bases.length; g++) {
            bases[g] = (byte) matrix.groups().get(g).basis();
            if (matrix.left(g) != null) {
                add(tensors, name + ".left", g, matrix.left(g));
            }
        }
        for (int b = 0; b < matrix.bases(); b++) {
            add(tensors, name + ".right", b, matrix.right(b));
        }
        tensors.add(bytes(name + ".group", matrix.groupOf()));
        tensors.add(bytes(name + ".basis", bases));
        if (matrix.bias() != null) {
            tensors.add(bias(name, matrix.bias()));
        }
        return tensors;
    }

    private static Tensor bias(String name, float[] values) {
        EncodedMatrix row = EncodedMatrix.allocate(Arena.ofAuto(), Codec.BF16, 1, values.length, 1);
        row.encodeRow(0, values, 0);
        return new Tensor(biasOf(name), DType.BF16, new long[] {values.length}, row.data());
    }

    private static Tensor bytes(String name, byte[] values) {
        return new Tensor(name, DType.U8, new long[] {values.length}, MemorySegment.ofArray(values));
    }

    private static void add(List<Tensor> tensors, String stem, int number, EncodedMatrix part) {
        long[] dataShape = {part.rows(), storedWidth(part.codec(), part.width())};
        tensors.add(new Tensor(stem + "." + number, part.codec().type(), dataShape, part.data()));
        if (part.codec().scaled()) {
            long[] shape =
                    part.scalesPerRow() == 1 ? new long[] {part.rows()} : new long[] {part.rows(), part.scalesPerRow()};
            tensors.add(new Tensor(stem + "_scale." + number, part.scaleFormat().type(), shape, part.scales()));
        }
    }

    /** Elements of a stored row: bytes where numbers share them. */
    private static long storedWidth(Codec codec, int width) {
        return codec.type() == DType.U8 ? codec.rowBytes(width) : width;
    }

    /** What the stored tensors do not say, for the metadata: shape, ranks of the groups, codecs of groups and bases. */
    static Map<String, Object> description(CompressedMatrix matrix) {
        List<Integer> ranks = new ArrayList<>();
        List<String> codecs = new ArrayList<>();
        for (int g = 0; g < matrix.groups().size(); g++) {
            ranks.add(matrix.groups().get(g).rank());
            codecs.add(
                    matrix.left(g) == null ? NO_CODEC : matrix.left(g).codec().label());
        }
        List<String> rightCodecs = new ArrayList<>();
        for (int b = 0; b < matrix.bases(); b++) {
            rightCodecs.add(matrix.right(b).codec().label());
        }
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("shape", List.of(matrix.rows(), matrix.columns()));
        description.put("ranks", ranks);
        description.put("codecs", codecs);
        description.put("rightCodecs", rightCodecs);
        description.put(BIAS, matrix.bias() != null);
        return description;
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
     * factors are not looked at, so that opening a large file reads little of it. A bias of binary32 is rounded to bfloat16.
     *
     * @throws MalformedFileException if a part is missing or does not fit the others
     */
    CompressedMatrix read() {
        long[] shape = longs("shape", 2);
        if (shape[0] < 1
                || shape[0] > CompressedMatrix.MAX_ROWS
                || shape[1] < 1
                || shape[1] > CompressedMatrix.MAX_COLUMNS) {
            throw damaged("the metadata of " + quoted() + " gives the shape " + Wording.shape(shape)
                    + ", where rows lie between 1 and " + CompressedMatrix.MAX_ROWS + " and columns between 1 and "
                    + CompressedMatrix.MAX_COLUMNS);
        }
        int rows = (int) shape[0];
        int columns = (int) shape[1];
        byte[] groupOf = bytes("group", rows, rows);
        byte[] bases = bytes("basis", 1, GroupPlan.MAX_GROUPS);
        long[] ranks = longs("ranks", bases.length);
        long[] sizes = sizes(groupOf, bases.length);
        String[] codecs = labels("codecs", bases.length);
        List<EncodedMatrix> right = rightFactors(columns, bases);
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < bases.length; g++) {
            int basis = bases[g] & 0xff;
            if (codecs[g].equals(NO_CODEC) != (basis == GroupPlan.ZERO)) {
                throw damaged("the metadata of " + quoted() + " gives group " + g + " the codec "
                        + Wording.quoted(codecs[g]) + ", but its basis number is " + basis);
            }
            if (basis == GroupPlan.ZERO) {
                plans.add(new GroupPlan(GroupPlan.ZERO, 0, Codec.F32));
                left.add(null);
                continue;
            }
            if (basis != GroupPlan.DENSE && basis >= right.size()) {
                throw damaged("group " + g + " of " + quoted() + " uses basis " + basis + " of " + right.size());
            }
            long longest = basis == GroupPlan.DENSE ? columns : right.get(basis).rows();
            if (ranks[g] < 1 || ranks[g] > longest || (basis == GroupPlan.DENSE && ranks[g] != columns)) {
                throw damaged(
                        "group " + g + " of " + quoted() + " has rank " + ranks[g] + " where its basis has " + longest);
            }
            EncodedMatrix rowsOfGroup = part("left", g, sizes[g], (int) ranks[g], codecs[g]);
            plans.add(new GroupPlan(basis, (int) ranks[g], rowsOfGroup.codec()));
            left.add(rowsOfGroup);
        }
        CompressedMatrix matrix = new CompressedMatrix(name, columns, groupOf, plans, left, right);
        for (int b = 0; b < matrix.bases(); b++) {
            // Decoded ones, since a finite scale can still make an infinite number of an integer.
            int directions = (int) matrix.right(b).rows();
            requireFinite(name + ".right." + b, Matrix.of(name, matrix.decodedRight(b), directions, columns));
        }
        boolean biased = provenance.path(BIAS).asBoolean(false);
        return biased ? matrix.withBias(bias(rows)) : matrix;
    }

    private float[] bias(int rows) {
        Tensor tensor = take(BIAS);
        boolean typed = tensor.type() == DType.BF16 || tensor.type() == DType.F32;
        if (!typed || tensor.shape().length != 1 || tensor.shape()[0] != rows) {
            throw damaged(Wording.quoted(tensor.name()) + " has type " + tensor.type() + " and shape "
                    + Wording.shape(tensor.shape()) + " where BF16 or F32 and [" + rows + "] are needed");
        }
        float[] values = tensor.floats();
        for (int i = 0; i < rows; i++) {
            if (!Float.isFinite(values[i]) || !Float.isFinite(Bf16.widen(Bf16.round(values[i])))) {
                throw damaged(Wording.quoted(tensor.name()) + " holds " + values[i] + " at index " + i
                        + " where only finite numbers of bfloat16 may stand");
            }
        }
        return values;
    }

    private long[] sizes(byte[] groupOf, int groups) {
        long[] sizes = new long[groups];
        for (byte entry : groupOf) {
            int g = entry & 0xff;
            if (g >= groups) {
                throw damaged(quoted("group") + " names group " + g + " of " + groups);
            }
            sizes[g]++;
        }
        return sizes;
    }

    private List<EncodedMatrix> rightFactors(int columns, byte[] bases) {
        boolean[] used = new boolean[256];
        for (byte basis : bases) {
            used[basis & 0xff] = true;
        }
        int stored = 0;
        while (rest.containsKey(name + ".right." + stored)) {
            stored++;
        }
        String[] codecs = labels("rightCodecs", stored);
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < stored; b++) {
            if (b >= GroupPlan.ZERO || !used[b]) {
                throw damaged("no group of " + quoted() + " uses " + quoted("right." + b));
            }
            EncodedMatrix factor = part("right", b, -1, columns, codecs[b]);
            if (factor.rows() < 1 || factor.rows() > columns) {
                throw damaged(quoted("right." + b) + " has " + factor.rows() + " rows where 1 to " + columns
                        + " are possible");
            }
            right.add(factor);
        }
        return right;
    }

    /** {@code rows < 0} takes as many rows as are stored. */
    private EncodedMatrix part(String kind, int number, long rows, int width, String label) {
        Tensor data = take(kind + "." + number);
        Codec codec = codec(data, label);
        long storedWidth = storedWidth(codec, width);
        long storedRows = data.shape().length == 2 ? data.shape()[0] : -1;
        if (storedRows < 0 || data.shape()[1] != storedWidth || (rows >= 0 && storedRows != rows)) {
            throw damaged(Wording.quoted(data.name()) + " has shape " + Wording.shape(data.shape()) + " where ["
                    + (rows < 0 ? "any" : Long.toString(rows)) + ", " + storedWidth + "] is needed");
        }
        if (!codec.scaled()) {
            return new EncodedMatrix(codec, storedRows, width, width, data.data(), null, ScaleFormat.F32);
        }
        Tensor scales = take(kind + "_scale." + number);
        long perRow = scales.shape().length == 2 ? scales.shape()[1] : 1;
        int block = perRow == 1 ? width : CompressedMatrix.SCALE_BLOCK;
        boolean shaped = scales.shape().length >= 1 && scales.shape().length <= 2 && scales.shape()[0] == storedRows;
        if (!shaped || perRow != (width + block - 1) / block) {
            throw damaged(Wording.quoted(scales.name()) + " has shape " + Wording.shape(scales.shape())
                    + ", which fits neither one scale a row nor one a block of " + CompressedMatrix.SCALE_BLOCK);
        }
        ScaleFormat format = Stream.of(ScaleFormat.values())
                .filter(f -> f.type() == scales.type())
                .findFirst()
                .orElseThrow(() -> damaged(Wording.quoted(scales.name()) + " has type " + scales.type()
                        + " where U8, BF16 or F32 is needed"));
        if (storedRows > 0 && format != ScaleFormat.LOG8) {
            requireFinite(scales.name(), Matrix.of(scales.name(), scales.type(), storedRows, perRow, scales.data()));
        }
        return new EncodedMatrix(codec, storedRows, width, block, data.data(), scales.data(), format);
    }

    private Codec codec(Tensor data, String label) {
        return Stream.of(Codec.values())
                .filter(codec -> codec.label().equals(label) && codec.type() == data.type())
                .findFirst()
                .orElseThrow(() -> damaged(Wording.quoted(data.name()) + " has type " + data.type()
                        + " where the metadata gives the codec " + Wording.quoted(label)));
    }

    private Tensor take(String suffix) {
        Tensor tensor = rest.remove(name + "." + suffix);
        if (tensor == null) {
            throw damaged("the tensor " + quoted(suffix) + " is missing");
        }
        return tensor;
    }

    /** A vector of {@code least} to {@code most} bytes. */
    private byte[] bytes(String suffix, int least, int most) {
        Tensor tensor = take(suffix);
        if (tensor.type() != DType.U8 || tensor.shape().length != 1) {
            throw damaged(Wording.quoted(tensor.name()) + " must be a U8 vector");
        }
        // Before the copy, which no array could hold otherwise.
        if (tensor.bytes() < least || tensor.bytes() > most) {
            throw damaged(Wording.quoted(tensor.name()) + " has " + tensor.bytes() + " entries where "
                    + (least == most ? "" : least + " to ") + most + " are needed");
        }
        return tensor.data().toArray(ValueLayout.JAVA_BYTE);
    }

    private long[] longs(String key, int count) {
        return list(key, count, node -> node.isIntegralNumber() && node.canConvertToLong(), "whole numbers")
                .mapToLong(JsonNode::longValue)
                .toArray();
    }

    /** One text for each group or basis. */
    private String[] labels(String key, int count) {
        return list(key, count, JsonNode::isTextual, "codecs")
                .map(JsonNode::textValue)
                .toArray(String[]::new);
    }

    private Stream<JsonNode> list(String key, int count, Predicate<JsonNode> fits, String what) {
        JsonNode node = provenance.path(key);
        if (!node.isArray() || node.size() != count || !node.valueStream().allMatch(fits)) {
            throw damaged("the metadata of " + quoted() + " lacks '" + key + "' with " + count + " " + what);
        }
        return node.valueStream();
    }

    private void requireFinite(String tensor, Matrix numbers) {
        long bad = Finite.firstNot(numbers);
        if (bad >= 0) {
            throw damaged(Wording.quoted(tensor) + " holds NaN or infinity in row " + bad / numbers.columns()
                    + ", column " + bad % numbers.columns());
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
