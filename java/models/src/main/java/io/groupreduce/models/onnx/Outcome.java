package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Wording;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * What becomes of the result of a product on its way to a caller.
 *
 * @param output the graph's output
 */
record Outcome(String output, Logits logits) {
    /** What leaves every logit as it is, and what a softmax takes. */
    private static final Set<String> PASSING = Graph.operators("Identity Cast Reshape Squeeze Unsqueeze Flatten Slice"
            + " Gather GatherND GatherElements Concat Split Dropout Expand");

    private static final Set<String> NORMALISING = Graph.operators("Softmax LogSoftmax");
    private static final Set<String> CHOOSING = Graph.operators("ArgMax TopK Multinomial");
    private static final Set<String> JOINING = Graph.operators("Add Sub Mul Div");
    private static final Set<String> CHANGING =
            Graph.operators("Add Sub Mul Div Tanh Relu Sigmoid Clip Where Exp Log Neg"
                    + " Softplus Pow Min Max QuantizeLinear DequantizeLinear ScatterElements ScatterND");

    /** Factors nearer to 1 than binary32 can tell, after a few roundings. */
    private static final double ROUNDING = 1e-6;

    /** {@code scale * (A h) + share * bias}, then {@code cap * tanh} of that, where {@code cap} is not 0; {@code stage}: what a softmax made. */
    private record State(double scale, double share, String bias, double cap, String unknown, Stage stage) {
        State times(double factor) {
            return new State(scale * factor, share * factor, bias, cap * factor, unknown, stage);
        }

        State unknown(String what) {
            return new State(scale, share, bias, cap, unknown == null ? what : unknown, stage);
        }

        State at(Stage next) {
            return new State(scale, share, bias, cap, unknown, next);
        }
    }

    private enum Stage {
        LOGITS,
        PROBABILITIES,
        TOKENS
    }

    /**
     * Where the result of a product goes; empty if it comes to no caller, or not as logits.
     *
     * @param rows the numbers of one result
     */
    static Optional<Outcome> of(Graph graph, String value, long rows, double factor, String bias) {
        return new Walk(graph, rows, new HashSet<>())
                .from(value, new State(factor, bias == null ? 0 : 1, bias, 0, null, Stage.LOGITS));
    }

    private record Walk(Graph graph, long rows, Set<String> seen) {
        Optional<Outcome> from(String value, State state) {
            ValueInfoProto output = graph.outputs().get(value);
            if (output != null && (state.stage == Stage.TOKENS || fits(output))) {
                return Optional.of(new Outcome(value, logits(state)));
            }
            if (!seen.add(value)) {
                return Optional.empty();
            }
            for (NodeProto user : graph.users(value)) {
                State after = after(user, value, state);
                for (int o = 0; after != null && o < user.getOutputCount(); o++) {
                    Optional<Outcome> found = from(user.getOutput(o), after);
                    if (found.isPresent()) {
                        return found;
                    }
                }
            }
            return Optional.empty();
        }

        /** Whether an output may be logits, some of which may be cut off where a vocabulary is padded. */
        private boolean fits(ValueInfoProto output) {
            TensorShapeProto shape = output.getType().getTensorType().getShape();
            long last = shape.getDimCount() == 0
                    ? 0
                    : shape.getDim(shape.getDimCount() - 1).getDimValue();
            return last == 0 || last <= rows && 2 * last > rows;
        }

        /** {@code null} if the node makes something else of it. */
        private State after(NodeProto node, String value, State state) {
            String operator = node.getOpType();
            boolean first = value.equals(Graph.input(node, 0));
            if (PASSING.contains(operator)) {
                // Numbers that choose or shape are not what is chosen or shaped.
                return first || operator.equals("Concat") ? state : null;
            }
            if (CHOOSING.contains(operator)) {
                return state.at(Stage.TOKENS);
            }
            if (NORMALISING.contains(operator)) {
                return state.at(Stage.PROBABILITIES);
            }
            if (!CHANGING.contains(operator)) {
                return null;
            }
            if (state.stage == Stage.LOGITS) {
                return changed(node, operator, value, state);
            }
            return operator.equals("Log") ? state : null;
        }

        private State changed(NodeProto node, String operator, String value, State state) {
            if (operator.equals("Tanh")) {
                return state.cap == 0
                        ? new State(state.scale, state.share, state.bias, 1, state.unknown, state.stage)
                        : state.unknown("the graph bounds its logits twice");
            }
            State unknown = state.unknown("the graph changes its logits with " + Wording.quoted(operator)
                    + " in a way that is not known here");
            boolean first = value.equals(Graph.input(node, 0));
            String other = Graph.input(node, first ? 1 : 0);
            boolean joins = JOINING.contains(operator);
            if (!joins) {
                return unknown;
            }
            TensorProto constant = graph.stored(other);
            Double number = Constants.scalar(constant);
            if (number != null && (operator.equals("Mul") || operator.equals("Div") && first)) {
                return state.times(operator.equals("Mul") ? number : 1 / number);
            }
            if (operator.equals("Add") && state.cap == 0 && number != null) {
                // What is added to all logits changes no probability.
                return state;
            }
            if (operator.equals("Add") && state.cap == 0 && state.bias == null && isVector(constant, rows)) {
                return new State(state.scale, 1, constant.getName(), 0, state.unknown, state.stage);
            }
            // With what the graph computes it would be a part of something else, such as a gate or a residual.
            return constant != null || number != null || graph.inputs().containsKey(other) ? unknown : null;
        }
    }

    /** Whether a tensor has that many numbers along its last side alone. */
    static boolean isVector(TensorProto tensor, long length) {
        return tensor != null
                && tensor.getDimsCount() > 0
                && tensor.getDims(tensor.getDimsCount() - 1) == length
                && tensor.getDimsList().stream().reduce(1L, (a, b) -> a * b) == length;
    }

    private static Logits logits(State state) {
        String unknown = state.unknown;
        double scale = near(state.scale);
        double cap = state.cap;
        if (unknown == null && state.bias != null && near(state.share) != 1) {
            unknown = "the graph multiplies its bias, too";
        }
        if (unknown == null && !(scale > 0 && scale <= Float.MAX_VALUE && cap >= 0 && cap <= Float.MAX_VALUE)) {
            unknown = "the graph multiplies its logits by a number that is not above 0";
        }
        return unknown == null ? new Logits(scale, state.bias, cap, null) : new Logits(1, state.bias, 0, unknown);
    }

    private static double near(double factor) {
        return Math.abs(factor - 1) < ROUNDING ? 1 : factor;
    }
}
