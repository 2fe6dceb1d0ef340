package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
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
    private static final Set<String> PASSING = Set.of(
            "Identity",
            "Cast",
            "Reshape",
            "Squeeze",
            "Unsqueeze",
            "Flatten",
            "Transpose",
            "Slice",
            "Gather",
            "GatherND",
            "GatherElements",
            "Concat",
            "Split",
            "Dropout",
            "Expand");

    private static final Set<String> LAST = Set.of("Softmax", "LogSoftmax", "ArgMax", "TopK", "Multinomial");
    private static final Set<String> CHANGING = Set.of(
            "Relu",
            "Sigmoid",
            "Clip",
            "Where",
            "Exp",
            "Log",
            "Neg",
            "Softplus",
            "Abs",
            "Sqrt",
            "Pow",
            "Min",
            "Max",
            "QuantizeLinear",
            "DequantizeLinear",
            "ScatterElements",
            "ScatterND",
            "Add",
            "Sub",
            "Mul",
            "Div");

    /** Factors nearer to 1 than binary32 can tell, after a few roundings. */
    private static final double ROUNDING = 1e-6;

    /** {@code scale * (A h) + share * bias}, then {@code cap * tanh} of that, where {@code cap} is not 0. */
    private record State(double scale, double share, String bias, double cap, String unknown, boolean isOver) {
        State times(double factor) {
            return new State(scale * factor, share * factor, bias, cap * factor, unknown, isOver);
        }

        State unknown(String what) {
            return new State(scale, share, bias, cap, unknown == null ? what : unknown, isOver);
        }
    }

    /** Where a value goes; empty if it comes to no caller, or not as logits. */
    static Optional<Outcome> of(Graph graph, String value, double factor, String bias) {
        return new Walk(graph).from(value, new State(factor, bias == null ? 0 : 1, bias, 0, null, false));
    }

    private record Walk(Graph graph, Set<String> seen) {
        Walk(Graph graph) {
            this(graph, new HashSet<>());
        }

        Optional<Outcome> from(String value, State state) {
            if (graph.outputs().containsKey(value)) {
                return Optional.of(new Outcome(value, logits(state)));
            }
            if (!seen.add(value)) {
                return Optional.empty();
            }
            for (NodeProto user : graph.users(value)) {
                State after = state.isOver() ? state : after(user, value, state);
                boolean goesOn = after != null
                        && (!state.isOver()
                                || PASSING.contains(user.getOpType())
                                || CHANGING.contains(user.getOpType())
                                || LAST.contains(user.getOpType()));
                for (int o = 0; goesOn && o < user.getOutputCount(); o++) {
                    Optional<Outcome> found = from(user.getOutput(o), after);
                    if (found.isPresent()) {
                        return found;
                    }
                }
            }
            return Optional.empty();
        }

        /** {@code null} if the node makes something else of it. */
        private State after(NodeProto node, String value, State state) {
            String operator = node.getOpType();
            if (LAST.contains(operator)) {
                return new State(state.scale, state.share, state.bias, state.cap, state.unknown, true);
            }
            boolean first = node.getInput(0).equals(value);
            if (PASSING.contains(operator)) {
                // Numbers that choose or shape are not what is chosen or shaped.
                return first || operator.equals("Concat") ? state : null;
            }
            if (operator.equals("Tanh")) {
                return state.cap == 0
                        ? new State(state.scale, state.share, state.bias, 1, state.unknown, false)
                        : state.unknown("the graph bounds its logits twice");
            }
            String other = Graph.input(node, first ? 1 : 0);
            Double number = other == null ? null : scalar(other);
            return switch (operator) {
                case "Mul" -> number == null ? state.unknown(changes(operator)) : state.times(number);
                case "Div" -> number == null || !first ? state.unknown(changes(operator)) : state.times(1 / number);
                case "Add" -> added(state, other, number);
                default -> CHANGING.contains(operator) ? state.unknown(changes(operator)) : null;
            };
        }

        /** A constant that is added to all logits changes no probability. */
        private State added(State state, String other, Double number) {
            if (number != null && state.cap == 0) {
                return state;
            }
            TensorProto bias = graph.constant(other);
            return bias != null
                            && state.bias == null
                            && state.cap == 0
                            && isVector(bias, bias.getDims(Math.max(0, bias.getDimsCount() - 1)))
                    ? new State(state.scale, 1, other, 0, state.unknown, false)
                    : state.unknown(changes("Add"));
        }

        private static String changes(String operator) {
            return "the graph changes its logits with " + Wording.quoted(operator) + " in a way that is not known here";
        }

        private Double scalar(String value) {
            NodeProto maker = graph.maker(value);
            boolean passes =
                    maker != null && Set.of("Identity", "Cast", "CastLike").contains(maker.getOpType());
            return passes ? scalar(maker.getInput(0)) : Constants.scalar(graph.constant(value));
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
