package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.models.onnx.Place;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Rows of a compressed matrix by token ids, from the very codes that the compressed file has: see {@link RowPlaces} for how a row is found, {@link
 * StreamDecoder} for how its numbers are read. Numbers of a basis meet its right factor, which a runtime decodes once, when it loads the model.
 */
final class StreamLookup implements Replacement {
    /** Negative axes and indexes. */
    private static final int LEAST_OPSET = 11;

    private final CompressedMatrix matrix;
    private final RowPlaces places;
    private final Map<RowStream.Kind, RowStream> streams = new EnumMap<>(RowStream.Kind.class);

    /**
     * @param arena frees what is made for the model; must live until that is written
     * @throws InvalidDataException if the matrix has scales of binary32
     */
    StreamLookup(CompressedMatrix matrix, Arena arena) {
        this.matrix = matrix;
        places = new RowPlaces(matrix);
        int groups = matrix.groups().size();
        Map<RowStream.Kind, EncodedMatrix[]> byKind = new EnumMap<>(RowStream.Kind.class);
        for (int g = 0; g < groups; g++) {
            if (matrix.left(g) != null && matrix.left(g).width() > 0) {
                byKind.computeIfAbsent(kind(matrix.left(g)), kind -> new EncodedMatrix[groups])[g] = matrix.left(g);
            }
        }
        byKind.forEach((kind, parts) -> streams.put(kind, new RowStream(kind, Arrays.asList(parts), arena)));
    }

    private RowStream.Kind kind(EncodedMatrix part) {
        RowStream.Kind kind = RowStream.kindOf(part);
        if (kind == null) {
            throw new InvalidDataException("The matrix " + Wording.quoted(matrix.name())
                    + " has scales of 32 bits, which have no form in ONNX here; compress the model again.");
        }
        return kind;
    }

    @Override
    public boolean isExact() {
        return true;
    }

    @Override
    public String form() {
        return "its own codes";
    }

    @Override
    public String addTo(GraphEditor graph, Place place) {
        graph.requireOpset(LEAST_OPSET);
        boolean isLong = streams.values().stream().anyMatch(s -> s.data().byteSize() > Integer.MAX_VALUE);
        RowPlaces.Found rows = places.addTo(graph, place.input(), isLong ? DataType.INT64 : DataType.INT32);
        List<String> parts = new ArrayList<>();
        for (RowStream stream : streams.values()) {
            String name = matrix.name() + "/" + stream.kind().name().toLowerCase(Locale.ROOT);
            String start = start(graph, stream, rows);
            String numbers = StreamDecoder.add(graph, stream, name, rows.type(), rows.group(), start);
            List<Integer> bases = IntStream.range(0, stream.parts())
                    .filter(stream::has)
                    .mapToObj(g -> matrix.groups().get(g).basis())
                    .distinct()
                    .sorted()
                    .toList();
            for (int basis : bases) {
                String own = bases.size() == 1 ? numbers : graph.add("Mul", numbers, isOf(graph, basis, rows));
                parts.add(basis == GroupPlan.DENSE ? own : product(graph, stream.width(), own, basis));
            }
        }
        if (parts.isEmpty()) {
            String zeros = graph.floats(new float[matrix.columns()], 1, matrix.columns());
            return graph.add("Gather", zeros, graph.add("Sub", rows.group(), rows.group()));
        }
        return parts.stream().reduce((a, b) -> graph.add("Add", a, b)).orElseThrow();
    }

    private String start(GraphEditor graph, RowStream stream, RowPlaces.Found rows) {
        int groups = stream.parts();
        long[] starts = new long[places.before().length];
        Arrays.setAll(starts, i -> stream.base(i % groups) + places.before()[i] * stream.stride(i % groups));
        long[] strides = new long[groups];
        Arrays.setAll(strides, stream::stride);
        String first = graph.add("Gather", graph.places(rows.type(), starts, starts.length), rows.table());
        String stride = graph.add("Gather", graph.places(rows.type(), strides, groups), rows.group());
        return graph.add("Add", first, graph.add("Mul", rows.place(), stride));
    }

    /** [..., 1]: 1 for the rows of a basis, or of dense groups, 0 for others. */
    private String isOf(GraphEditor graph, int basis, RowPlaces.Found rows) {
        float[] is = new float[matrix.groups().size()];
        for (int g = 0; g < is.length; g++) {
            is[g] = matrix.groups().get(g).basis() == basis ? 1 : 0;
        }
        return graph.add("Gather", graph.floats(is, is.length, 1), rows.group());
    }

    private String product(GraphEditor graph, int width, String numbers, int basis) {
        int rank = (int) matrix.right(basis).rows();
        String factor = RightFactor.addTo(graph, matrix.right(basis));
        // Other bases may have longer rows, or rows of this one be shorter than it is.
        String left = width > rank ? first(graph, numbers, rank, -1) : numbers;
        return graph.add("MatMul", left, width < rank ? first(graph, factor, width, 0) : factor);
    }

    private static String first(GraphEditor graph, String values, int count, int axis) {
        return graph.add(
                "Slice",
                values,
                graph.longs(new long[1], 1),
                graph.longs(new long[] {count}, 1),
                graph.longs(new long[] {axis}, 1));
    }
}
