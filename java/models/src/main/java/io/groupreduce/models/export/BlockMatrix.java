package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.rounding.BlockFormat;
import io.groupreduce.models.rounding.EvenBlocks;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * A matrix of codes of 4 or 8 bits in blocks along its rows with a scale each, as operators of ONNX Runtime take it: MatMulNBits multiplies with its
 * transpose, GatherBlockQuantized looks rows up. Both decode a code c, of 0 to 2^bits - 1, as {@code (c - 2^(bits - 1)) scale}, the lower bits of a byte
 * first; rows are filled up with zeros to whole blocks.
 */
final class BlockMatrix {
    /** Activations are rounded to 8 bits, in blocks as long as those of the matrix: without, 8 bits take a hundred times as long. */
    private static final int ACCURACY_LEVEL = 4;

    /** Rows that one task rounds. */
    private static final int TILE = 64;

    private final String name;
    private final int rows;
    private final int columns;
    private final int bits;
    private final int block;
    private final MemorySegment codes;
    private final MemorySegment scales;

    /**
     * A matrix of zeros.
     *
     * @param name what its initializers are called
     * @param block 16 or a larger power of 2
     * @param arena frees it; must live until the model is written
     */
    BlockMatrix(String name, int rows, int columns, int bits, int block, Arena arena) {
        this.name = name;
        this.rows = rows;
        this.columns = columns;
        this.bits = bits;
        this.block = block;
        codes = arena.allocate((long) rows * blocks() * blockBytes(), Long.BYTES);
        codes.fill((byte) (bits == Byte.SIZE ? 0x80 : 0x88));
        scales = arena.allocate((long) rows * blocks() * Float.BYTES, Float.BYTES);
    }

    /** Bytes of a row. */
    static int rowBytes(int columns, int bits, int block) {
        return Math.ceilDiv(columns, block) * (block * bits / Byte.SIZE + Float.BYTES);
    }

    int rows() {
        return rows;
    }

    int columns() {
        return columns;
    }

    private int blocks() {
        return Math.ceilDiv(columns, block);
    }

    private int blockBytes() {
        return block * bits / Byte.SIZE;
    }

    /** Reads the numbers of a row; by several threads at once. */
    @FunctionalInterface
    interface Numbers {
        void read(int row, float[] numbers);
    }

    /** Reads the numbers of a row and what the squares of errors in them cost; one thread's. */
    @FunctionalInterface
    interface Weighted {
        void read(int row, float[] numbers, float[] importance);
    }

    /** Rounds every number to the next value, with the scale of least error. */
    void fill(Numbers source, Parallel threads) {
        fillWeighted(() -> (row, numbers, importance) -> source.read(row, numbers), threads);
    }

    /** Rounds every number to the next value, with the scale of least weighted error. */
    void fillWeighted(Supplier<Weighted> sources, Parallel threads) {
        threads.forEach(Math.ceilDiv(rows, TILE), tile -> {
            Weighted source = sources.get();
            BlockFormat.RowCode code = format().row();
            float[] numbers = new float[columns];
            float[] importance = new float[columns];
            Arrays.fill(importance, 1);
            for (int row = tile * TILE; row < Math.min(rows, (tile + 1) * TILE); row++) {
                source.read(row, numbers, importance);
                for (int at = 0; at < columns; at += block) {
                    code.fit(at / block, numbers, at, Math.min(block, columns - at), importance);
                }
                for (int j = 0; j < columns; j++) {
                    code.round(j, numbers[j]);
                }
                code.store(row);
            }
        });
    }

    /** How rows are rounded and stored here. */
    EvenBlocks format() {
        return new EvenBlocks(bits, block, columns, scale -> scale, this::store);
    }

    private void store(int row, int b, float scale, byte[] values, int from) {
        long at = (long) row * blocks() + b;
        scales.set(LittleEndian.F32, at * Float.BYTES, scale);
        int zero = 1 << bits - 1;
        int perByte = Byte.SIZE / bits;
        for (int j = 0; j < block; j += perByte) {
            int packed = 0;
            for (int part = 0; part < perByte; part++) {
                packed |= values[from + j + part] + zero << part * bits;
            }
            codes.set(ValueLayout.JAVA_BYTE, at * blockBytes() + j / perByte, (byte) packed);
        }
    }

    /** What goes into a place of an output layer, F32 and with the layer's factor. */
    static String states(GraphEditor graph, Place place) {
        String states = place.type() == DataType.FLOAT ? place.input() : graph.cast(place.input(), DataType.FLOAT);
        return place.factor() == 1
                ? states
                : graph.add("Mul", states, graph.floats(new float[] {(float) place.factor()}));
    }

    /**
     * The products of states with every row.
     *
     * @param states [..., columns]
     * @param bias the initializer of what is added to every product; {@code null} for none
     * @return [..., rows]
     */
    String product(GraphEditor graph, String states, String bias) {
        return product(graph, states, bias, scales(graph, (long) rows * blocks()));
    }

    /** The same, where {@link #lookUp} is used, too: both share their numbers. */
    String tiedProduct(GraphEditor graph, String states, String bias) {
        return product(graph, states, bias, graph.add("Reshape", rowScales(graph), graph.longs(new long[] {-1}, 1)));
    }

    private String product(GraphEditor graph, String states, String bias, String allScales) {
        NodeProto.Builder node = operator("MatMulNBits")
                .addInput(states)
                .addInput(codes(graph))
                .addInput(allScales)
                .addAttribute(GraphEditor.of("K", columns))
                .addAttribute(GraphEditor.of("N", rows))
                .addAttribute(GraphEditor.of("accuracy_level", ACCURACY_LEVEL));
        if (bias != null) {
            node.addInput("").addInput("").addInput(bias);
        }
        return graph.add(node);
    }

    /**
     * Rows by their numbers.
     *
     * @param ids [...]
     * @return [..., columns]
     */
    String lookUp(GraphEditor graph, String ids) {
        String blocksOfRows = graph.add(operator("GatherBlockQuantized")
                .addInput(codes(graph))
                .addInput(ids)
                .addInput(rowScales(graph))
                .addAttribute(GraphEditor.of("gather_axis", 0))
                .addAttribute(GraphEditor.of("quantize_axis", 2)));
        String shape = graph.add(NodeProto.newBuilder()
                .setOpType("Concat")
                .addInput(graph.add("Shape", ids))
                .addInput(graph.longs(new long[] {(long) blocks() * block}, 1))
                .addAttribute(GraphEditor.of("axis", 0)));
        String found = graph.add("Reshape", blocksOfRows, shape);
        return columns % block == 0
                ? found
                : graph.add(
                        "Slice",
                        found,
                        graph.longs(new long[] {0}, 1),
                        graph.longs(new long[] {columns}, 1),
                        graph.longs(new long[] {-1}, 1));
    }

    private String codes(GraphEditor graph) {
        return graph.initializer(name + "/codes", DataType.UINT8, codes, rows, blocks(), blockBytes());
    }

    private String rowScales(GraphEditor graph) {
        return scales(graph, rows, blocks(), 1);
    }

    private String scales(GraphEditor graph, long... shape) {
        return graph.initializer(name + "/scales", DataType.FLOAT, scales, shape);
    }

    /** Bytes of codes and scales. */
    long bytes() {
        return codes.byteSize() + scales.byteSize();
    }

    private NodeProto.Builder operator(String type) {
        return NodeProto.newBuilder()
                .setDomain(GraphEditor.MICROSOFT)
                .setOpType(type)
                .addAttribute(GraphEditor.of("bits", bits))
                .addAttribute(GraphEditor.of("block_size", block));
    }
}
