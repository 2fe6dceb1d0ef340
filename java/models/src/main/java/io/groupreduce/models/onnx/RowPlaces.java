package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Where a row lies among the rows of its group, for one byte a row: rows are cut into blocks, a table tells where the rows of each group begin
 * in each block, and the byte how many rows of the same group come before a row in its block.
 */
final class RowPlaces {
    private static final int LEAST_BLOCK = 256;

    private final CompressedMatrix matrix;
    private final MemorySegment groups;
    private final MemorySegment places;
    private final int block;
    private final int[] before;

    RowPlaces(CompressedMatrix matrix) {
        this.matrix = matrix;
        groups = MemorySegment.ofArray(matrix.groupOf());
        // The longer blocks are, the smaller the table, as long as a byte can count the rows of a group.
        int length = LEAST_BLOCK;
        byte[] fitting = places(length);
        while (length < matrix.rows()) {
            byte[] longer = places(2 * length);
            if (longer == null) {
                break;
            }
            fitting = longer;
            length *= 2;
        }
        block = length;
        places = MemorySegment.ofArray(fitting);
        before = count();
    }

    /** {@code null} if a block has more rows of a group than a byte can count. */
    private byte[] places(int length) {
        byte[] found = new byte[matrix.rows()];
        int[] next = new int[matrix.groups().size()];
        for (int i = 0; i < found.length; i++) {
            if (i % length == 0) {
                Arrays.fill(next, 0);
            }
            int place = next[matrix.group(i)]++;
            if (place > 0xff) {
                return null;
            }
            found[i] = (byte) place;
        }
        return found;
    }

    /** For each block, and in it each group, how many rows of the group come before the block. */
    int[] before() {
        return before;
    }

    private int[] count() {
        int groupCount = matrix.groups().size();
        int[] counted = new int[Math.ceilDiv(matrix.rows(), block) * groupCount];
        int[] next = new int[groupCount];
        for (int i = 0; i < matrix.rows(); i++) {
            if (i % block == 0) {
                System.arraycopy(next, 0, counted, i / block * groupCount, groupCount);
            }
            next[matrix.group(i)]++;
        }
        return counted;
    }

    /** The nodes that find rows by token ids. */
    Found addTo(GraphEditor graph, String ids, DataType type) {
        String name = matrix.name();
        int rows = matrix.rows();
        String group = graph.cast(
                graph.add("Gather", graph.initializer(name + "/groups", DataType.UINT8, groups, rows), ids), type);
        String place = graph.cast(
                graph.add("Gather", graph.initializer(name + "/places", DataType.UINT8, places, rows), ids), type);
        String table = group;
        if (block < rows) {
            // A negative id counts from the end; what is out of range stopped above.
            String count = graph.places(type, new long[] {rows});
            String id = graph.add("Mod", graph.add("Add", graph.cast(ids, type), count), count);
            String number = graph.add("Div", id, graph.places(type, new long[] {block}));
            String first = graph.add("Mul", number, graph.places(type, new long[] {
                matrix.groups().size()
            }));
            table = graph.add("Add", first, group);
        }
        return new Found(type, group, table, place);
    }

    /**
     * Values of the shape of the token ids.
     *
     * @param type of all
     * @param group the number of each row's group
     * @param table where the row's block and group are in {@link #before}
     * @param place how many rows of its group come before it in its block
     */
    record Found(DataType type, String group, String table, String place) {}
}
