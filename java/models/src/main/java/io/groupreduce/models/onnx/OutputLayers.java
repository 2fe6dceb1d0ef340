package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Products with a stored matrix whose results a caller gets: the output layer of the vocabulary, and layers that look like one. */
final class OutputLayers {
    /** {@code factor * (A h) + bias} as nodes make it; {@code other}: what else they add, if no bias can be told from it. */
    private record Product(
            String tensor,
            long rows,
            long columns,
            boolean transposed,
            String input,
            List<NodeProto> nodes,
            String bias,
            double factor,
            DataType type,
            String quantised,
            String other) {
        Product with(List<NodeProto> itsNodes, String itsBias, String what) {
            return new Product(
                    tensor, rows, columns, transposed, input, itsNodes, itsBias, factor, type, quantised, what);
        }

        String output() {
            return nodes.get(nodes.size() - 1).getOutput(0);
        }
    }

    private final Graph graph;

    private final VocabularyChoice choice;

    OutputLayers(Graph graph, VocabularyChoice choice) {
        this.graph = graph;
        this.choice = choice;
    }

    /** The place of a node, not judged yet; its {@code why} is the name of the graph's output. */
    Optional<Place> of(NodeProto node) {
        Product product = ofKnownBias(node, product(node));
        if (product == null) {
            return Optional.empty();
        }
        Product whole = product.bias() == null ? withBias(product) : product;
        Outcome hidden = new Outcome("", new Logits(1, whole.bias(), 0, "the graph gives its logits to no caller"));
        Optional<Outcome> named = Optional.of(hidden).filter(o -> whole.tensor().equals(choice.output()));
        return Outcome.of(graph, whole.output(), whole.rows(), whole.factor(), whole.bias())
                .or(() -> named)
                .map(outcome -> new Place(
                        whole.tensor(),
                        whole.rows(),
                        whole.columns(),
                        Model.Role.OUTPUT,
                        whole.transposed(),
                        whole.input(),
                        whole.output(),
                        whole.type(),
                        whole.nodes(),
                        whole.bias(),
                        whole.factor(),
                        outcome.logits(),
                        whole.quantised(),
                        null,
                        whole.other() == null,
                        whole.other() == null ? outcome.output() : whole.other()));
    }

    private Product product(NodeProto node) {
        if (Graph.input(node, 0) == null || Graph.input(node, 1) == null) {
            return null;
        }
        return switch (node.getOpType()) {
            case "MatMul" -> plain(node, false, 1, null);
            case "FusedMatMul" ->
                Graph.integer(node, "transA", 0) != 0
                                || Graph.integer(node, "transBatchA", 0) != 0
                                || Graph.integer(node, "transBatchB", 0) != 0
                        ? null
                        : plain(node, Graph.integer(node, "transB", 0) != 0, Graph.number(node, "alpha", 1), null);
            case "Gemm" -> gemm(node);
            case "MatMulNBits", "MatMulBnb4" -> packed(node);
            case "DynamicQuantizeMatMul" -> plain(node, false, 1, Graph.input(node, 4));
            case "MatMulIntegerToFloat" -> integers(node, List.of(node), Graph.input(node, 6));
            case "MatMulInteger" -> integers(node, scaled(node), null);
            default -> null;
        };
    }

    private Product plain(NodeProto node, boolean turned, double factor, String bias) {
        Operand right = Operand.of(graph, Graph.input(node, 1));
        if (right == null) {
            return null;
        }
        List<NodeProto> nodes = new ArrayList<>(right.nodes());
        nodes.add(node);
        // A MatMul takes [D, N], which is the matrix transposed.
        boolean transposed = right.turned() == turned;
        TensorProto stored = right.stored();
        return new Product(
                stored.getName(),
                stored.getDims(transposed ? 1 : 0),
                stored.getDims(transposed ? 0 : 1),
                transposed,
                Graph.input(node, 0),
                nodes,
                bias,
                factor,
                Operand.isPlain(right.type()) ? right.type() : DataType.FLOAT,
                right.quantised(),
                null);
    }

    private Product gemm(NodeProto node) {
        if (Graph.integer(node, "transA", 0) != 0) {
            return null;
        }
        return plain(node, Graph.integer(node, "transB", 0) != 0, Graph.number(node, "alpha", 1), Graph.input(node, 2));
    }

    /** With the name of the initializer that a product's own bias is. */
    private Product ofKnownBias(NodeProto node, Product product) {
        if (product == null || product.bias() == null) {
            return product;
        }
        TensorProto bias = graph.stored(product.bias());
        return Outcome.isVector(bias, product.rows()) && Graph.number(node, "beta", 1) == 1
                ? product.with(product.nodes(), bias.getName(), null)
                : product.with(
                        product.nodes(),
                        null,
                        "is multiplied by a " + node.getOpType() + " that adds something else than a bias");
    }

    private Product packed(NodeProto node) {
        TensorProto codes = graph.constant(Graph.input(node, 1));
        TensorProto scales = graph.constant(Graph.input(node, 2));
        if (codes == null || scales == null) {
            return null;
        }
        String bias = Graph.input(node, 5);
        return new Product(
                codes.getName(),
                Graph.integer(node, "N", 0),
                Graph.integer(node, "K", 0),
                false,
                Graph.input(node, 0),
                List.of(node),
                bias,
                1,
                DataType.forNumber(scales.getDataType()),
                "quantised (" + Graph.integer(node, "bits", 4) + " bits, " + node.getOpType() + ")",
                null);
    }

    /** A product of whole numbers; {@code nodes} begin with it and end with what makes it floats. */
    private Product integers(NodeProto node, List<NodeProto> nodes, String bias) {
        TensorProto codes = graph.constant(Graph.input(node, 1));
        NodeProto rounding = graph.maker(Graph.input(node, 0));
        if (nodes == null
                || codes == null
                || codes.getDimsCount() != 2
                || rounding == null
                || !rounding.getOpType().equals("DynamicQuantizeLinear")) {
            return null;
        }
        List<NodeProto> all = new ArrayList<>();
        if (rounding.getOutputList().stream()
                .allMatch(value -> graph.users(value).stream().allMatch(nodes::contains))) {
            all.add(rounding);
        }
        all.addAll(nodes);
        return new Product(
                codes.getName(),
                codes.getDims(1),
                codes.getDims(0),
                true,
                Graph.input(rounding, 0),
                all,
                bias,
                1,
                DataType.FLOAT,
                Operand.kind(DataType.forNumber(codes.getDataType())),
                null);
    }

    /** MatMulInteger, Cast, Mul by the scales, and what multiplies those; {@code null} if it goes on in another way. */
    private List<NodeProto> scaled(NodeProto product) {
        NodeProto cast = next(product.getOutput(0), "Cast");
        NodeProto scaling = cast == null ? null : next(cast.getOutput(0), "Mul");
        if (scaling == null) {
            return null;
        }
        List<NodeProto> nodes = new ArrayList<>(List.of(product, cast));
        for (String factor : scaling.getInputList()) {
            NodeProto maker = graph.maker(factor);
            if (maker != null && maker != cast && maker.getOpType().equals("Mul") && graph.isInner(factor)) {
                nodes.add(maker);
            }
        }
        nodes.add(scaling);
        return nodes;
    }

    private NodeProto next(String value, String operator) {
        return graph.isInner(value) && graph.users(value).get(0).getOpType().equals(operator)
                ? graph.users(value).get(0)
                : null;
    }

    /** With the bias that follows at once, if nothing else uses what has none. */
    private Product withBias(Product product) {
        NodeProto adding = next(product.output(), "Add");
        String bias =
                adding == null ? null : Graph.input(adding, product.output().equals(Graph.input(adding, 0)) ? 1 : 0);
        TensorProto stored = graph.stored(bias);
        if (product.other() != null || !Outcome.isVector(stored, product.rows())) {
            return product;
        }
        List<NodeProto> nodes = new ArrayList<>(product.nodes());
        nodes.add(adding);
        return product.with(nodes, stored.getName(), null);
    }

    /**
     * Decides which are the vocabulary's, by their size.
     *
     * @param found with the name of the graph's output as their {@code why}
     */
    List<Place> judge(List<Place> found, List<Place> tables) {
        long tokens = tables.stream()
                .filter(Place::taken)
                .mapToLong(Place::rows)
                .max()
                .orElse(0);
        List<Place> judged = new ArrayList<>();
        for (Place place : found) {
            String makes = "makes output " + Wording.quoted(place.why());
            boolean named = Places.isNamed(place, choice);
            boolean large = place.rows() == tokens || place.rows() > place.columns() && 2 * place.rows() >= tokens;
            if (!place.taken()) {
                judged.add(place);
            } else if (choice.output() != null) {
                judged.add(place.judged(named, named ? "is named to be that" : "is not the one that is named"));
            } else if (!large) {
                judged.add(place.judged(
                        false,
                        makes + " of " + place.rows() + " numbers, fewer than "
                                + (tokens > 0 ? "there are tokens" : "a hidden state has")));
            } else {
                judged.add(place.judged(true, makes));
            }
        }
        return judged;
    }
}
