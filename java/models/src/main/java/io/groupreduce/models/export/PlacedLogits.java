package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.run.GraphCut;
import io.groupreduce.models.run.Runner;
import java.util.Arrays;
import java.util.List;

/** What the place of an output layer makes of hidden states, whatever nodes are there: computed by ONNX Runtime. */
final class PlacedLogits {
    /** States of one run. */
    private static final int BATCH = 16;

    private PlacedLogits() {}

    /**
     * What the place has to add so that the logits are those of a compressed matrix: the model's own bias, if it is added there; or in its place that of
     * the matrix, as it is before what the graph multiplies and adds later.
     *
     * @return length N; {@code null} for nothing
     */
    static float[] bias(OnnxFile file, Place place, CompressedMatrix matrix) {
        float[] own = matrix.bias();
        if (own == null) {
            return place.bias() == null ? null : file.floats(place.bias());
        }
        String later = place.bias() == null ? place.logits().bias() : null;
        float[] added = later == null ? new float[own.length] : file.floats(later);
        double factor = place.logits().unknown() == null ? place.logits().scale() / place.factor() : 1;
        float[] bias = new float[own.length];
        for (int i = 0; i < bias.length; i++) {
            bias[i] = (float) ((own[i] - added[i]) / factor);
        }
        return bias;
    }

    /**
     * The logits of states.
     *
     * @param file a model that has the place's input and output
     * @param states count x D
     * @return count x N
     */
    static float[] of(OnnxFile file, Place place, float[] states, int threads) {
        int columns = (int) place.columns();
        int rows = (int) place.rows();
        int count = states.length / columns;
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        shape.addDimBuilder().setDimParam("states");
        shape.addDimBuilder().setDimValue(columns);
        TypeProto.Tensor type = TypeProto.Tensor.newBuilder()
                .setElemType(place.type().getNumber())
                .setShape(shape)
                .build();
        ValueInfoProto input = ValueInfoProto.newBuilder()
                .setName(place.input())
                .setType(TypeProto.newBuilder().setTensorType(type))
                .build();
        ModelProto cut = GraphCut.cut(file.model(), List.of(place.output()), List.of(input));
        float[] logits = new float[Math.multiplyExact(count, rows)];
        try (Runner runner = Runner.ofValues(file, cut, threads)) {
            for (int from = 0; from < count; from += BATCH) {
                int batch = Math.min(BATCH, count - from);
                float[] some = Arrays.copyOfRange(states, from * columns, (from + batch) * columns);
                float[] made = runner.run(some, new long[] {batch, columns}, place.output())
                        .floats();
                System.arraycopy(made, 0, logits, from * rows, batch * rows);
            }
        }
        return logits;
    }
}
