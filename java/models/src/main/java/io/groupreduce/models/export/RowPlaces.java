package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.MemorySegment;

/**
 * Where a row lies among the rows of its group, for two bytes a row: they count the rows of the same group that come before it in a block of rows, and a
 * table tells where the rows of each group begin in each block. Single bytes would be no fewer: blocks would have to be short and their table long.
 */
final class RowPlaces {
    private static final int BLOCK = 1 << Short.SIZE;

    private final CompressedMatrix matrix;
    private final MemorySegment groups;
    private final MemorySegment places;
    private final int[] before;

    RowPlaces(CompressedMatrix matrix) {
        this.matrix = matrix;
        int rows = matrix.rows();
        int groupCount = matrix.groups().size();
        groups = MemorySegment.ofArray(matrix.groupOf());
        places = MemorySegment.ofArray(new byte[Math.multiplyExact(Short.BYTES, rows)]);
        before = new int[Math.ceilDiv(rows, BLOCK) * groupCount];
        int[] next = new int[groupCount];
        for (int i = 0; i < rows; i++) {
            int first = i / BLOCK * groupCount;
            if (i % BLOCK == 0) {
                System.arraycopy(next, 0, before, first, groupCount);
            }
            int group = matrix.group(i);
            int place = next[group]++ - before[first + group];
            places.set(LittleEndian.I16, (long) Short.BYTES * i, (short) place);
        }
    }

    /** For each block, and in it each group, how many rows of the group come before the block. */
    int[] before() {
        return before;
    }

    /** The nodes that find rows by token ids. */
    Found addTo(GraphEditor graph, String ids, DataType type) {
        String name = matrix.name();
        int rows = matrix.rows();
        String group = graph.cast(
                graph.add("Gather", graph.initializer(name + "/groups", DataType.UINT8, groups, rows), ids), type);
        String place = graph.cast(
                graph.add("Gather", graph.initializer(name + "/places", DataType.UINT16, places, rows), ids), type);
        String table = group;
        if (BLOCK < rows) {
            // A negative id counts from the end; what is out of range stopped above.
            String count = graph.places(type, new long[] {rows});
            String id = graph.add("Mod", graph.add("Add", graph.cast(ids, type), count), count);
            String number = graph.add("Div", id, graph.places(type, new long[] {BLOCK}));
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
