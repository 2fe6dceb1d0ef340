package io.groupreduce.benchmarks.head;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;

/** An ONNX graph under construction; field numbers are those of {@code onnx.proto}. Large tensors lie in a file beside it. */
final class OnnxGraph {
    /** Element types of {@code TensorProto}. */
    static final int FLOAT = 1;

    static final int INT8 = 3;
    static final int INT64 = 7;

    private static final int IR_VERSION = 8;
    private static final int OPERATOR_SET = 17;
    private static final int ATTRIBUTE_INTEGER = 2;
    private static final int EXTERNAL = 1;

    private final Protobuf graph = new Protobuf().text(2, "head");
    private int nodes;

    /** A node with integer attributes; inputs and outputs are names parted by blanks. */
    void node(String operator, String inputs, String outputs, Map<String, Integer> attributes) {
        Protobuf node = new Protobuf();
        for (String input : inputs.split(" ")) {
            node.text(1, input);
        }
        for (String output : outputs.split(" ")) {
            node.text(2, output);
        }
        node.text(3, operator + nodes++).text(4, operator);
        new TreeMap<>(attributes)
                .forEach((name, value) -> node.message(
                        5, new Protobuf().text(1, name).integer(3, value).integer(20, ATTRIBUTE_INTEGER)));
        graph.message(1, node);
    }

    /** One 64-bit integer, stored here. */
    void constant(String name, long value) {
        byte[] bytes = ByteBuffer.allocate(Long.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array();
        graph.message(
                5, new Protobuf().integer(1, 1).integer(2, INT64).text(8, name).bytes(9, bytes));
    }

    /** A tensor in another file in the same folder. */
    void external(String name, int type, String file, long offset, long length, long... shape) {
        Protobuf tensor = new Protobuf();
        for (long side : shape) {
            tensor.integer(1, side);
        }
        tensor.integer(2, type).text(8, name);
        place(tensor, "location", file);
        place(tensor, "offset", Long.toString(offset));
        place(tensor, "length", Long.toString(length));
        graph.message(5, tensor.integer(14, EXTERNAL));
    }

    private static void place(Protobuf tensor, String key, String value) {
        tensor.message(13, new Protobuf().text(1, key).text(2, value));
    }

    /** Declares an input of shape [batch, columns] with any batch. */
    void input(String name, int type, int columns) {
        graph.message(11, value(name, type, columns));
    }

    /** Declares an output of shape [batch, columns]. */
    void output(String name, int type, int columns) {
        graph.message(12, value(name, type, columns));
    }

    private static Protobuf value(String name, int type, int columns) {
        Protobuf shape = new Protobuf()
                .message(1, new Protobuf().text(2, "batch"))
                .message(1, new Protobuf().integer(1, columns));
        Protobuf tensor = new Protobuf().integer(1, type).message(2, shape);
        return new Protobuf().text(1, name).message(2, new Protobuf().message(1, tensor));
    }

    /** The whole model. */
    byte[] model() {
        return new Protobuf()
                .integer(1, IR_VERSION)
                .text(2, "groupreduce benchmarks")
                .message(7, graph)
                .message(8, new Protobuf().text(1, "").integer(2, OPERATOR_SET))
                .toBytes();
    }
}
