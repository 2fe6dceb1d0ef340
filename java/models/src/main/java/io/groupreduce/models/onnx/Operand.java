package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A stored matrix as a node takes it.
 *
 * @param stored the initializer
 * @param turned whether what is taken is its transpose
 * @param type of what is taken
 * @param nodes what makes it of the initializer, for this use alone
 * @param quantised how it is stored if not as plain floats; {@code null} for F32, F16 and BF16
 */
record Operand(TensorProto stored, boolean turned, DataType type, List<NodeProto> nodes, String quantised) {
    private static final Set<DataType> PLAIN = EnumSet.of(DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16);

    /** {@code null} if a value is no matrix that is stored. */
    static Operand of(Graph graph, String value) {
        List<NodeProto> nodes = new ArrayList<>();
        boolean turned = false;
        boolean alone = true;
        DataType type = null;
        String quantised = null;
        String at = value;
        for (int steps = 0; at != null && graph.constant(at) == null; steps++) {
            NodeProto maker = graph.maker(at);
            alone &= graph.isInner(at);
            if (maker == null || steps == Graph.LONGEST_CHAIN) {
                return null;
            }
            switch (maker.getOpType()) {
                case "Identity" -> {}
                case "Cast" -> type = type == null ? DataType.forNumber((int) Graph.integer(maker, "to", 0)) : type;
                case "Transpose" -> turned = !turned;
                case "DequantizeLinear" -> {
                    quantised = "DequantizeLinear";
                    TensorProto scale = graph.constant(Graph.input(maker, 1));
                    type = type == null && scale != null ? DataType.forNumber(scale.getDataType()) : type;
                }
                default -> {
                    return null;
                }
            }
            if (alone) {
                nodes.add(0, maker);
            }
            at = Graph.input(maker, 0);
        }
        TensorProto stored = at == null ? null : graph.constant(at);
        if (stored == null || stored.getDimsCount() != 2) {
            return null;
        }
        DataType own = DataType.forNumber(stored.getDataType());
        return new Operand(
                stored,
                turned,
                type == null ? own : type,
                nodes,
                quantised != null || !isPlain(own) ? kind(own) : null);
    }

    static boolean isPlain(DataType type) {
        return PLAIN.contains(type);
    }

    /** How numbers of a type that is not plain are stored, to follow "is stored". */
    static String kind(DataType type) {
        String name = type == null ? "of an unknown type" : type.name().toLowerCase(Locale.ROOT);
        if (type == DataType.DOUBLE) {
            return "as double";
        }
        return name.startsWith("float")
                ? "as floats of few bits (" + name + ")"
                : "quantised (codes of type " + name + ")";
    }

    long rows() {
        return stored.getDims(turned ? 1 : 0);
    }

    long columns() {
        return stored.getDims(turned ? 0 : 1);
    }
}
