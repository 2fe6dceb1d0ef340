package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.run.GraphCut;
import io.groupreduce.models.run.Runner;
import java.util.List;

/** The vectors that a place of an embedding gives for token ids, whatever nodes are there: computed by ONNX Runtime. */
final class PlacedRows implements AutoCloseable {
    private static final String TOKENS = "token_ids";

    private final Runner runner;
    private final String output;

    /** @param file a model that has the place's input and output; must stay open as long as this */
    PlacedRows(OnnxFile file, Place place) {
        output = place.output();
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        shape.addDimBuilder().setDimValue(1);
        shape.addDimBuilder().setDimParam("tokens");
        TypeProto.Tensor tokens = TypeProto.Tensor.newBuilder()
                .setElemType(DataType.INT64.getNumber())
                .setShape(shape)
                .build();
        ValueInfoProto given = ValueInfoProto.newBuilder()
                .setName(place.input())
                .setType(TypeProto.newBuilder().setTensorType(tokens))
                .build();
        ModelProto cut = GraphCut.cut(file.model(), List.of(output), List.of(given));
        // A name by which the input is known to take tokens.
        GraphProto.Builder graph =
                cut.getGraph().toBuilder().clearNode().clearInput().clearValueInfo();
        graph.addInput(given.toBuilder().setName(TOKENS));
        for (NodeProto node : cut.getGraph().getNodeList()) {
            NodeProto.Builder renamed = node.toBuilder();
            for (int i = 0; i < node.getInputCount(); i++) {
                if (node.getInput(i).equals(place.input())) {
                    renamed.setInput(i, TOKENS);
                }
            }
            graph.addNode(renamed);
        }
        runner = Runner.open(file, cut.toBuilder().setGraph(graph).build(), 1);
    }

    /** The vectors of ids, row-major. */
    float[] of(int[] ids) {
        return runner.run(new int[][] {ids}, output).floats();
    }

    @Override
    public void close() {
        runner.close();
    }
}
