package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.EncodedMatrix;
import java.util.Arrays;

/**
 * A right factor as binary32 numbers that a runtime makes when it loads the model: of signed bytes, the values of the codes, and scales. Codes of fewer bits
 * take a byte too: to unpack them would leave a trail of large intermediate results in the runtime's memory.
 */
final class RightFactor {
    private RightFactor() {}

    /** Adds the factor, [k, D]. */
    static String addTo(GraphEditor graph, EncodedMatrix factor) {
        int rows = (int) factor.rows();
        int width = factor.width();
        int scales = factor.scalesPerRow();
        byte[] values = new byte[rows * width];
        float[] numbers = new float[rows * width];
        float[] scale = new float[rows * scales];
        for (int r = 0; r < rows; r++) {
            if (scales == 0) {
                factor.decodeRow(r, numbers, r * width);
            } else {
                factor.decodeValues(r, width, numbers, r * width);
            }
            for (int s = 0; s < scales; s++) {
                scale[r * scales + s] = factor.scale(r, s);
            }
        }
        if (scales == 0) {
            return graph.halves(numbers, rows, width);
        }
        for (int i = 0; i < values.length; i++) {
            values[i] = (byte) numbers[i];
        }
        String scaled = graph.halves(scale, rows, scales);
        if (scales > 1) {
            long[] block = new long[width];
            Arrays.setAll(block, j -> j / factor.block());
            scaled = graph.add(NodeProto.newBuilder()
                    .setOpType("Gather")
                    .addInput(scaled)
                    .addInput(graph.longs(block, width))
                    .addAttribute(GraphEditor.of("axis", -1)));
        }
        return graph.add("Mul", graph.cast(graph.signed(values, rows, width), DataType.FLOAT), scaled);
    }
}
