package io.groupreduce.models.run;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.models.onnx.Graph;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The part of a graph that computes some of its values. */
public final class GraphCut {
    private GraphCut() {}

    /**
     * The model with these values as its outputs, without nodes, inputs and initializers that they do not need.
     *
     * @param values names of any values of the main graph
     * @param given values that become inputs of the model, in place of what computes them
     */
    public static ModelProto cut(ModelProto model, Collection<String> values, Collection<ValueInfoProto> given) {
        GraphProto graph = model.getGraph();
        Set<String> needed = new HashSet<>(values);
        Set<String> known = new HashSet<>();
        given.forEach(value -> known.add(value.getName()));
        List<NodeProto> nodes = new ArrayList<>();
        // Nodes stand after what they read.
        for (NodeProto node : graph.getNodeList().reversed()) {
            if (node.getOutputList().stream().anyMatch(name -> needed.contains(name) && !known.contains(name))) {
                nodes.add(node);
                needed.addAll(Graph.reads(node));
            }
        }
        Collections.reverse(nodes);
        GraphProto.Builder cut = graph.toBuilder();
        cut.clearNode()
                .addAllNode(nodes)
                .clearOutput()
                .clearInput()
                .addAllInput(given)
                .clearInitializer();
        values.forEach(name -> cut.addOutput(ValueInfoProto.newBuilder().setName(name)));
        graph.getInputList().stream()
                .filter(input -> needed.contains(input.getName()) && !known.contains(input.getName()))
                .forEach(cut::addInput);
        graph.getInitializerList().stream()
                .filter(tensor -> needed.contains(tensor.getName()))
                .forEach(cut::addInitializer);
        return model.toBuilder().setGraph(cut).build();
    }
}
