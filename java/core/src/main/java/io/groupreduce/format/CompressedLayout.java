package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.Codec;
import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import io.groupreduce.MalformedFileException;
import io.groupreduce.backend.GroupPlan;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The tensors that stand for one matrix NAME: {@code NAME.group}, {@code NAME.basis}, {@code NAME.left.P}, {@code
 * NAME.left_scale.P}, {@code NAME.right.B}, {@code NAME.right_scale.B}.
 */
final class CompressedLayout {
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
        return tensors;
    }

    private static Tensor bytes(String name, byte[] values) {
        return new Tensor(name, DType.U8, new long[] {values.length}, MemorySegment.ofArray(values));
    }

    private static void add(List<Tensor> tensors, String stem, int number, EncodedMatrix part) {
        DType type =
                switch (part.codec()) {
                    case F32 -> DType.F32;
                    case BF16 -> DType.BF16;
                    case INT8 -> DType.I8;
                    case INT4 -> DType.U8;
                };
        long width = part.codec() == Codec.INT4 ? part.codec().rowBytes(part.width()) : part.width();
        tensors.add(new Tensor(stem + "." + number, type, new long[] {part.rows(), width}, part.data()));
        if (part.codec().scaled()) {
            long[] shape =
                    part.scalesPerRow() == 1 ? new long[] {part.rows()} : new long[] {part.rows(), part.scalesPerRow()};
            DType scaleType = part.bf16Scales() ? DType.BF16 : DType.F32;
            tensors.add(new Tensor(stem + "_scale." + number, scaleType, shape, part.scales()));
        }
    }

    /** The rank of every group: what the stored shape of a packed INT4 matrix does not say. */
    static List<Integer> ranks(CompressedMatrix matrix) {
        return matrix.groups().stream().map(GroupPlan::rank).collect(Collectors.toList());
    }

    /** Finds, checks and joins the tensors of the matrix. */
    CompressedMatrix read() {
        long[] shape = longs("shape", 2);
        int rows = side(shape[0]);
        int columns = side(shape[1]);
        byte[] groupOf = bytes("group");
        byte[] bases = bytes("basis");
        if (groupOf.length != rows) {
            throw damaged("'" + name + ".group' has " + groupOf.length + " entries for " + rows + " rows");
        }
        long[] ranks = longs("ranks", bases.length);
        long[] sizes = new long[256];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        for (int g = bases.length; g < sizes.length; g++) {
            if (sizes[g] > 0) {
                throw damaged("'" + name + ".group' names group " + g + " of " + bases.length);
            }
        }
        List<EncodedMatrix> right = new ArrayList<>();
        while (rest.containsKey(name + ".right." + right.size())) {
            right.add(part("right", right.size(), -1, columns));
        }
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < bases.length; g++) {
            int basis = bases[g] & 0xff;
            if (basis == GroupPlan.ZERO) {
                plans.add(new GroupPlan(GroupPlan.ZERO, 0, Codec.F32));
                left.add(null);
                continue;
            }
            if (basis != GroupPlan.DENSE && basis >= right.size()) {
                throw damaged("group " + g + " of '" + name + "' uses basis " + basis + " of " + right.size());
            }
            long longest = basis == GroupPlan.DENSE ? columns : right.get(basis).rows();
            if (ranks[g] < 1 || ranks[g] > longest || (basis == GroupPlan.DENSE && ranks[g] != columns)) {
                throw damaged(
                        "group " + g + " of '" + name + "' has rank " + ranks[g] + " where its basis has " + longest);
            }
            EncodedMatrix rowsOfGroup = part("left", g, sizes[g], (int) ranks[g]);
            plans.add(new GroupPlan(basis, (int) ranks[g], rowsOfGroup.codec()));
            left.add(rowsOfGroup);
        }
        return new CompressedMatrix(name, columns, groupOf, plans, left, right);
    }

    /** {@code rows < 0} takes as many rows as are stored. */
    private EncodedMatrix part(String kind, int number, long rows, int width) {
        Tensor data = take(kind + "." + number);
        Codec codec =
                switch (data.type()) {
                    case F32 -> Codec.F32;
                    case BF16 -> Codec.BF16;
                    case I8 -> Codec.INT8;
                    case U8 -> Codec.INT4;
                    default -> throw damaged("'" + data.name() + "' has type " + data.type());
                };
        long storedWidth = codec == Codec.INT4 ? codec.rowBytes(width) : width;
        long storedRows = data.shape().length == 2 ? data.shape()[0] : -1;
        if (storedRows < 0 || data.shape()[1] != storedWidth || (rows >= 0 && storedRows != rows)) {
            throw damaged("'" + data.name() + "' has shape " + Arrays.toString(data.shape()) + " where ["
                    + (rows < 0 ? "any" : Long.toString(rows)) + ", " + storedWidth + "] is needed");
        }
        if (!codec.scaled()) {
            return new EncodedMatrix(codec, storedRows, width, width, data.data(), null, false);
        }
        Tensor scales = take(kind + "_scale." + number);
        long perRow = scales.shape().length == 2 ? scales.shape()[1] : 1;
        int block = perRow == 1 ? width : CompressedMatrix.SCALE_BLOCK;
        boolean shaped = scales.shape().length >= 1 && scales.shape().length <= 2 && scales.shape()[0] == storedRows;
        if (!shaped || perRow != (width + block - 1) / block) {
            throw damaged("'" + scales.name() + "' has shape " + Arrays.toString(scales.shape())
                    + ", which fits neither one scale a row nor one a block of " + CompressedMatrix.SCALE_BLOCK);
        }
        if (scales.type() != DType.BF16 && scales.type() != DType.F32) {
            throw damaged("'" + scales.name() + "' has type " + scales.type() + " where BF16 or F32 is needed");
        }
        return new EncodedMatrix(
                codec, storedRows, width, block, data.data(), scales.data(), scales.type() == DType.BF16);
    }

    private Tensor take(String suffix) {
        Tensor tensor = rest.remove(name + "." + suffix);
        if (tensor == null) {
            throw damaged("the tensor '" + name + "." + suffix + "' is missing");
        }
        return tensor;
    }

    private byte[] bytes(String suffix) {
        Tensor tensor = take(suffix);
        if (tensor.type() != DType.U8 || tensor.shape().length != 1) {
            throw damaged("'" + tensor.name() + "' must be a U8 vector");
        }
        return tensor.data().toArray(ValueLayout.JAVA_BYTE);
    }

    private long[] longs(String key, int count) {
        JsonNode node = provenance.path(key);
        if (!node.isArray() || node.size() != count) {
            throw damaged("the metadata of '" + name + "' lacks '" + key + "' with " + count + " numbers");
        }
        long[] values = new long[count];
        for (int i = 0; i < count; i++) {
            values[i] = node.get(i).asLong(-1);
        }
        return values;
    }

    private int side(long value) {
        if (value < 1 || value > Integer.MAX_VALUE) {
            throw damaged("the metadata of '" + name + "' gives the shape " + provenance.path("shape"));
        }
        return (int) value;
    }

    private MalformedFileException damaged(String what) {
        return new MalformedFileException(path + " is damaged: " + what + "; compress the model again.");
    }
}
