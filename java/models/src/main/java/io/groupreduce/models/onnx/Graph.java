package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The values of a graph: which node makes each and which use it. */
public final class Graph {
    /** Nodes between a stored tensor and its use; what has more goes in a circle. */
    static final int LONGEST_CHAIN = 16;

    private static final Set<String> CASTING = operators("Identity Cast CastLike");

    private final Map<String, NodeProto> makers = new HashMap<>();
    private final Map<String, List<NodeProto>> users = new HashMap<>();
    private final Map<String, TensorProto> constants = new HashMap<>();
    private final Map<String, ValueInfoProto> inputs = new LinkedHashMap<>();
    private final Map<String, ValueInfoProto> outputs = new LinkedHashMap<>();
    private final List<NodeProto> nodes;

    public Graph(GraphProto graph) {
        nodes = graph.getNodeList();
        graph.getInitializerList().forEach(tensor -> constants.put(tensor.getName(), tensor));
        // Before version 4 of the format every initializer was listed as an input, too.
        graph.getInputList().stream()
                .filter(input -> !constants.containsKey(input.getName()))
                .forEach(input -> inputs.put(input.getName(), input));
        graph.getOutputList().forEach(output -> outputs.put(output.getName(), output));
        for (NodeProto node : nodes) {
            node.getOutputList().forEach(value -> makers.put(value, node));
            reads(node).forEach(value -> users.computeIfAbsent(value, v -> new ArrayList<>())
                    .add(node));
        }
    }

    /** What a node reads, and what its branches and bodies may take from outside: names stand for one value in all of them. */
    public static Set<String> reads(NodeProto node) {
        Set<String> reads = new HashSet<>(node.getInputList());
        for (GraphProto graph : inner(node)) {
            graph.getNodeList().forEach(deeper -> reads.addAll(reads(deeper)));
            graph.getOutputList().forEach(output -> reads.add(output.getName()));
        }
        return reads;
    }

    /** The branches or bodies of a node. */
    static List<GraphProto> inner(NodeProto node) {
        List<GraphProto> inner = new ArrayList<>();
        for (AttributeProto attribute : node.getAttributeList()) {
            inner.addAll(attribute.getGraphsList());
            if (attribute.hasG()) {
                inner.add(attribute.getG());
            }
        }
        return inner;
    }

    /** All nodes, each after those that it needs. */
    public List<NodeProto> nodes() {
        return nodes;
    }

    /** The node that makes a value; {@code null} for inputs and constants. */
    public NodeProto maker(String value) {
        return makers.get(value);
    }

    /** The nodes that use a value, also inside their branches. */
    public List<NodeProto> users(String value) {
        return users.getOrDefault(value, List.of());
    }

    /** A tensor that is stored; {@code null} for other values. */
    public TensorProto constant(String value) {
        return constants.get(value);
    }

    /** The tensor that a value has the numbers of, under another name or in another type; {@code null} for other values. */
    TensorProto stored(String value) {
        String at = value;
        for (int steps = 0; constant(at) == null && steps < LONGEST_CHAIN; steps++) {
            NodeProto maker = maker(at);
            if (maker == null || !CASTING.contains(maker.getOpType())) {
                return null;
            }
            at = input(maker, 0);
        }
        return constant(at);
    }

    /** What a caller passes in, by name. */
    public Map<String, ValueInfoProto> inputs() {
        return inputs;
    }

    /** What a caller gets, by name. */
    public Map<String, ValueInfoProto> outputs() {
        return outputs;
    }

    /** Whether a value goes to one node and to no caller. */
    boolean isInner(String value) {
        return users(value).size() == 1 && !outputs.containsKey(value);
    }

    /** A set of operators, whose names are separated by spaces. */
    static Set<String> operators(String names) {
        return Set.of(names.split(" "));
    }

    /** An input of a node; {@code null} where it has none there. */
    static String input(NodeProto node, int index) {
        return index < node.getInputCount() && !node.getInput(index).isEmpty() ? node.getInput(index) : null;
    }

    static Optional<AttributeProto> attribute(NodeProto node, String name) {
        return node.getAttributeList().stream()
                .filter(attribute -> attribute.getName().equals(name))
                .findFirst();
    }

    static long integer(NodeProto node, String name, long without) {
        return attribute(node, name).map(AttributeProto::getI).orElse(without);
    }

    static double number(NodeProto node, String name, double without) {
        return attribute(node, name).map(a -> (double) a.getF()).orElse(without);
    }
}
