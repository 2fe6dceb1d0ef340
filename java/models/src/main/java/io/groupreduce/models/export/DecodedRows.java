package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.onnx.Place;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Rows of a compressed matrix by token ids from a plain table of N x D numbers: for models that are run and not kept. */
final class DecodedRows implements Replacement {
    private static final int TILE_NUMBERS = 1 << 16;

    private final CompressedMatrix matrix;
    private final MemorySegment table;

    /** @param arena holds the table */
    DecodedRows(CompressedMatrix matrix, Arena arena) {
        this.matrix = matrix;
        int columns = matrix.columns();
        long rowBytes = (long) columns * Float.BYTES;
        table = arena.allocate(matrix.rows() * rowBytes, Long.BYTES);
        int most = Math.max(1, TILE_NUMBERS / columns);
        float[] tile = new float[most * columns];
        for (int from = 0; from < matrix.rows(); from += most) {
            int count = Math.min(most, matrix.rows() - from);
            matrix.decodeRows(from, count, tile, 0);
            MemorySegment.copy(tile, 0, table, ValueLayout.JAVA_FLOAT, from * rowBytes, count * columns);
        }
    }

    @Override
    public String addTo(GraphEditor graph, Place place) {
        String rows =
                graph.initializer(matrix.name() + "/rows", DataType.FLOAT, table, matrix.rows(), matrix.columns());
        return graph.add("Gather", rows, place.input());
    }

    @Override
    public boolean isExact() {
        return true;
    }

    @Override
    public String form() {
        return "plain numbers";
    }
}
