package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.models.export.RankClasses.RankClass;
import io.groupreduce.models.onnx.Place;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A compressed matrix as an output layer, in products of 4 and 8 bits: {@code z = R h} once for each basis, the product of each class of {@link RankClasses}
 * with the leading part of z, and dense rows with h itself; then logits are put in the order of tokens. Coordinates were made for the metric that the matrix
 * was compressed under, so plain rounding of them is rounding under it.
 */
final class HeadForm implements Replacement {
    private static final int LEAST_OPSET = 11;

    private static final int BLOCK = RankClasses.BLOCK;

    /** In place of a basis: the states themselves. */
    private static final int STATES = -1;

    /**
     * The logits of some rows: one product, or the sum of two.
     *
     * @param basis whose projections it meets, or {@link #STATES}
     * @param leading of the first numbers, in 8 bits; {@code null} for none
     * @param rest of those behind them, in 4 bits; {@code null} for none
     */
    private record Part(int basis, BlockMatrix leading, BlockMatrix rest, int[] rows) {}

    private final CompressedMatrix matrix;
    private final Parallel threads;
    private final Arena arena;
    private final List<BlockMatrix> right = new ArrayList<>();
    private final List<Part> parts = new ArrayList<>();

    /** @param arena frees what is made for the model; must live until that is written */
    HeadForm(CompressedMatrix matrix, Parallel threads, Arena arena) {
        this.matrix = matrix;
        this.threads = threads;
        this.arena = arena;
        for (int b = 0; b < matrix.bases(); b++) {
            addBasis(b);
        }
        int[] dense = rows(plan -> plan.isDense() || plan.isZero() && matrix.bases() == 0);
        if (dense.length > 0) {
            BlockMatrix rows = new BlockMatrix(name("dense"), dense.length, matrix.columns(), 8, BLOCK, arena);
            rows.fill((i, numbers) -> matrix.decodeRows(dense[i], 1, numbers, 0), threads);
            parts.add(new Part(STATES, rows, null, dense));
        }
    }

    private int[] rows(Predicate<GroupPlan> wanted) {
        return IntStream.range(0, matrix.rows())
                .filter(i -> wanted.test(matrix.groups().get(matrix.group(i))))
                .toArray();
    }

    private void addBasis(int basis) {
        int columns = matrix.columns();
        float[] factor = matrix.decodedRight(basis);
        BlockMatrix directions =
                new BlockMatrix(name("right" + basis), factor.length / columns, columns, 8, BLOCK, arena);
        directions.fill((k, numbers) -> System.arraycopy(factor, k * columns, numbers, 0, columns), threads);
        right.add(directions);
        RankClasses classes = new RankClasses(matrix, basis, threads);
        for (RankClass c : classes.choose()) {
            String name = name(basis + "/" + c.wide() + "-" + c.rank());
            BlockMatrix leading = coordinates(classes, c, name + "/8", 0, c.wide(), 8);
            BlockMatrix rest = coordinates(classes, c, name + "/4", c.wide(), c.rank(), 4);
            parts.add(new Part(basis, leading, rest, c.rows()));
        }
    }

    private BlockMatrix coordinates(RankClasses classes, RankClass of, String name, int from, int to, int bits) {
        if (from == to) {
            return null;
        }
        BlockMatrix made = new BlockMatrix(name, of.rows().length, to - from, bits, BLOCK, arena);
        made.fillWeighted(
                () -> {
                    RankClasses.Rows rows = classes.new Rows();
                    return (i, numbers, importance) -> {
                        rows.read(of.rows()[i]);
                        System.arraycopy(rows.coordinates, from, numbers, 0, to - from);
                        System.arraycopy(rows.importance, from, importance, 0, to - from);
                    };
                },
                threads);
        return made;
    }

    private String name(String part) {
        return matrix.name() + "/" + part;
    }

    /** Bytes of all numbers. */
    long bytes() {
        long order = (long) Integer.BYTES * matrix.rows();
        return order
                + Stream.concat(right.stream(), parts.stream().flatMap(part -> Stream.of(part.leading(), part.rest())))
                        .filter(Objects::nonNull)
                        .mapToLong(BlockMatrix::bytes)
                        .sum();
    }

    @Override
    public boolean isExact() {
        return false;
    }

    @Override
    public String form() {
        return "rank classes of 4 and 8 bits";
    }

    @Override
    public String addTo(GraphEditor graph, Place place) {
        graph.requireOpset(LEAST_OPSET);
        String states = BlockMatrix.states(graph, place);
        float[] bias = graph.bias(place, matrix);
        Map<String, String> ranges = new HashMap<>();
        List<String> projections = new ArrayList<>();
        right.forEach(directions -> projections.add(directions.product(graph, states, null)));
        List<String> logits = new ArrayList<>();
        for (Part part : parts) {
            String z = part.basis() == STATES ? states : projections.get(part.basis());
            int width = part.basis() == STATES
                    ? matrix.columns()
                    : right.get(part.basis()).rows();
            int wide = 0;
            List<String> sum = new ArrayList<>();
            for (BlockMatrix product : new BlockMatrix[] {part.leading(), part.rest()}) {
                if (product != null) {
                    int from = wide;
                    wide += product.columns();
                    int to = wide;
                    String range = to - from == width
                            ? z
                            : ranges.computeIfAbsent(z + " " + from + " " + to, k -> slice(graph, z, from, to));
                    sum.add(product.product(graph, range, sum.isEmpty() ? bias(graph, bias, part.rows()) : null));
                }
            }
            logits.add(sum.size() == 1 ? sum.getFirst() : graph.add("Add", sum.get(0), sum.get(1)));
        }
        return inOrder(graph, logits);
    }

    private static String bias(GraphEditor graph, float[] bias, int[] rows) {
        if (bias == null) {
            return null;
        }
        float[] own = new float[rows.length];
        for (int i = 0; i < own.length; i++) {
            own[i] = bias[rows[i]];
        }
        return graph.floats(own, own.length);
    }

    private static String slice(GraphEditor graph, String values, int from, int to) {
        return graph.add(
                "Slice",
                values,
                graph.longs(new long[] {from}, 1),
                graph.longs(new long[] {to}, 1),
                graph.longs(new long[] {-1}, 1));
    }

    /** The logits of all parts by token. */
    private String inOrder(GraphEditor graph, List<String> logits) {
        String joined = logits.size() == 1
                ? logits.getFirst()
                : graph.add(NodeProto.newBuilder()
                        .setOpType("Concat")
                        .addAllInput(logits)
                        .addAttribute(GraphEditor.of("axis", -1)));
        long[] places = new long[matrix.rows()];
        int at = 0;
        for (Part part : parts) {
            for (int row : part.rows()) {
                places[row] = at++;
            }
        }
        if (Arrays.equals(
                places, IntStream.range(0, places.length).asLongStream().toArray())) {
            return joined;
        }
        // Gather copies each number with a call of its own and takes ten times as long.
        String indexes = graph.places(DataType.INT32, places, places.length);
        return graph.add(NodeProto.newBuilder()
                .setOpType("GatherElements")
                .addInput(joined)
                .addInput(graph.add("Expand", indexes, graph.add("Shape", joined)))
                .addAttribute(GraphEditor.of("axis", -1)));
    }
}
