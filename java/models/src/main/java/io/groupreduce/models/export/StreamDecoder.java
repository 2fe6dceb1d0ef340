package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.CompressedMatrix;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;

/**
 * The nodes that decode rows of a {@link RowStream}. The bytes are gathered in which a number's bits lie; shifts and masks are products with powers of two and
 * what is left of their point, which is exact in binary32. Tables of the parts follow from how many numbers of a row have how many bits: nodes without inputs,
 * which a runtime computes when it loads the model.
 */
final class StreamDecoder {
    private static final int WIDTHS = CodeValues.MOST_BITS;

    private final GraphEditor graph;
    private final RowStream stream;
    private final DataType type;
    private final String data;
    /** Of each row, its part. */
    private final String part;
    /** [..., 1]: where each row begins. */
    private final String start;

    private StreamDecoder(GraphEditor graph, RowStream stream, String name, DataType type, String part, String start) {
        this.graph = graph;
        this.stream = stream;
        this.type = type;
        this.part = part;
        this.start = graph.column(start);
        DataType stored =
                switch (stream.kind()) {
                    case F32 -> DataType.FLOAT;
                    case F16 -> DataType.FLOAT16;
                    default -> DataType.UINT8;
                };
        data = graph.initializer(name, stored, stream.data(), stream.data().byteSize() / stream.unit());
    }

    /**
     * Adds the nodes.
     *
     * @param name of the stream
     * @param type of {@code part} and {@code start}, int32 or int64
     * @param part [...]: the part of each row
     * @param start [...]: where each row begins in the stream
     * @return [..., width]: the numbers of each row, zeros beyond those it has
     */
    static String add(GraphEditor graph, RowStream stream, String name, DataType type, String part, String start) {
        StreamDecoder decoder = new StreamDecoder(graph, stream, name, type, part, start);
        return stream.isCodes() ? decoder.codes() : decoder.floats();
    }

    private String floats() {
        int width = stream.width();
        int parts = stream.parts();
        String end = graph.floats(table(parts, this::width), parts, 1);
        String last = graph.floats(table(parts, p -> Math.max(0, width(p) - 1)), parts, 1);
        String column = graph.floats(table(width, j -> j), 1, width);
        String places = graph.cast(graph.add("Min", column, last), type);
        String holds = graph.cast(graph.add("Less", column, end), DataType.FLOAT);
        String numbers = gather(data, graph.add("Add", gather(places, part), start));
        return graph.add("Mul", graph.cast(numbers, DataType.FLOAT), gather(holds, part));
    }

    private int width(int p) {
        return stream.has(p) ? stream.part(p).width() : 0;
    }

    private String codes() {
        int width = stream.width();
        int parts = stream.parts();
        // How many numbers of a row have 1 bit or more, 2 or more and so on: a number's bits are how many of these lie
        // beyond it.
        String reach = graph.floats(table(parts * WIDTHS, this::reach), parts, 1, WIDTHS);
        String column = graph.floats(table(width, j -> j), 1, width, 1);
        String wide = sum(graph.cast(graph.add("Less", column, reach), DataType.UINT8));
        String bits = graph.cast(wide, DataType.FLOAT);
        String before = graph.add(NodeProto.newBuilder()
                .setOpType("CumSum")
                .addInput(bits)
                .addInput(graph.places(DataType.INT32, new long[] {1}))
                .addAttribute(GraphEditor.of("exclusive", 1)));
        String bytes = graph.add("Floor", times(before, 1f / Byte.SIZE));
        String skipped = graph.add("Sub", before, times(bytes, Byte.SIZE));
        String scaleBytes = graph.floats(table(parts, stream::scaleBytes), parts, 1);
        String places = graph.cast(graph.add("Add", bytes, scaleBytes), type);
        String end = graph.cast(graph.add("Add", skipped, bits), DataType.INT32);
        String down = lookUp(2 * Byte.SIZE, i -> Math.scalb(1.0, -i), end);
        String up = lookUp(WIDTHS + 1, b -> 1 << b, wide);
        String step = lookUp(WIDTHS + 1, b -> b == 0 ? 0 : CodeValues.step(b), wide);
        String least = lookUp(WIDTHS + 1, b -> b == 0 ? 0 : CodeValues.value(b, 0), wide);

        String at = graph.add("Add", gather(places, part), start);
        String upper = times(graph.cast(gather(data, next(at)), DataType.FLOAT), 1 << Byte.SIZE);
        String word = graph.add("Add", graph.cast(gather(data, at), DataType.FLOAT), upper);
        String below = graph.add("Mul", word, gather(down, part));
        String masked = graph.add("Sub", below, graph.add("Floor", below));
        String code = graph.add("Floor", graph.add("Mul", masked, gather(up, part)));
        String value = graph.add("Add", graph.add("Mul", code, gather(step, part)), gather(least, part));
        return graph.add("Mul", value, scales());
    }

    private int reach(int index) {
        int p = index / WIDTHS;
        return stream.has(p) ? stream.part(p).profile().atLeast(index % WIDTHS + 1) : 0;
    }

    /** [..., 1] where rows have one scale, else [..., width]. */
    private String scales() {
        int count = stream.scalesPerRow();
        int parts = stream.parts();
        String at = start;
        if (count > 1) {
            long[] places = new long[parts * count];
            for (int i = 0; i < places.length; i++) {
                int held = stream.has(i / count) ? stream.part(i / count).scalesPerRow() : 1;
                places[i] = (long) Math.min(held - 1, i % count) * stream.scaleSize();
            }
            at = graph.add("Add", start, gather(graph.places(type, places, parts, count), part));
        }
        String scales;
        if (stream.kind() == RowStream.Kind.WIDE_SCALES) {
            // The upper byte holds the exponent but for its last bit.
            String power = lookUp(256, i -> i == 0 || i > 127 ? 0 : Math.scalb(1.0, 2 * i - 127), place(at));
            String rest = lookUp(256, i -> i < 128 ? 1 + i / 128.0 : 2 + (i - 128) / 64.0, place(next(at)));
            scales = graph.add("Mul", power, rest);
        } else {
            long[] sections = new long[parts];
            Arrays.setAll(sections, stream::section);
            String place = graph.add("Add", place(at), gather(graph.places(DataType.INT32, sections, parts, 1), part));
            float[] values = stream.scaleTable();
            scales = lookUp(values.length, i -> values[i], place);
        }
        if (count == 1) {
            return scales;
        }
        long[] block = new long[stream.width()];
        Arrays.setAll(block, j -> Math.min(count - 1, j / CompressedMatrix.SCALE_BLOCK));
        return graph.add(NodeProto.newBuilder()
                .setOpType("Gather")
                .addInput(scales)
                .addInput(graph.places(type, block, block.length))
                .addAttribute(GraphEditor.of("axis", -1)));
    }

    /** Sums of [parts, width, WIDTHS] over the last side. */
    private String sum(String values) {
        byte[] ones = new byte[WIDTHS];
        Arrays.fill(ones, (byte) 1);
        String sums = graph.add("MatMulInteger", values, graph.bytes(ones, WIDTHS, 1));
        return graph.add("Reshape", sums, graph.longs(new long[] {stream.parts(), stream.width()}, 2));
    }

    private String place(String at) {
        return graph.cast(gather(data, at), DataType.INT32);
    }

    private String next(String at) {
        return graph.add("Add", at, graph.places(type, new long[] {1}));
    }

    private String times(String value, float factor) {
        return graph.add("Mul", value, graph.floats(new float[] {factor}));
    }

    private String lookUp(int length, IntToDoubleFunction values, String index) {
        return gather(graph.floats(table(length, values), length), index);
    }

    private String gather(String values, String index) {
        return graph.add("Gather", values, index);
    }

    private static float[] table(int length, IntToDoubleFunction values) {
        float[] table = new float[length];
        for (int i = 0; i < length; i++) {
            table[i] = (float) values.applyAsDouble(i);
        }
        return table;
    }
}
