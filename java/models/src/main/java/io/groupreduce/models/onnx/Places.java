package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Finds where a graph uses the matrices of its vocabulary, by what it does with them. */
public final class Places {
    /** The input of a fused look-up that is the table of words. */
    private static final int WORDS = 2;

    private static final Set<String> PASSING = Graph.operators("Identity Cast Transpose DequantizeLinear");

    private final Graph graph;
    private final VocabularyChoice choice;

    private Places(Graph graph, VocabularyChoice choice) {
        this.graph = graph;
        this.choice = choice;
    }

    /** The places of the vocabulary: embeddings first, each kind in the order of the graph. */
    public static List<Place> find(OnnxFile file) {
        return all(file, VocabularyChoice.NONE).stream().filter(Place::taken).toList();
    }

    /** The places of all matrices that tokens choose from or that make an output, and why the vocabulary's are taken for those. */
    public static List<Place> all(OnnxFile file, VocabularyChoice choice) {
        return new Places(new Graph(file.model().getGraph()), choice).all();
    }

    private List<Place> all() {
        List<Place> lookUps = new ArrayList<>();
        List<Place> layers = new ArrayList<>();
        LookUps tables = new LookUps(graph, choice);
        OutputLayers outputs = new OutputLayers(graph, choice);
        for (NodeProto node : graph.nodes()) {
            tables.of(node).ifPresent(lookUps::add);
            outputs.of(node).ifPresent(layers::add);
        }
        List<Place> found = new ArrayList<>(tables.judge(lookUps, layers));
        found.addAll(outputs.judge(layers, found));
        graph.nodes().forEach(node -> outOfReach(node, found));
        return found.stream()
                .map(place -> place.elsewhere(elsewhere(place, found)))
                .toList();
    }

    /** Look-ups and products where nothing is found out about them and nothing could be put in their place. */
    private void outOfReach(NodeProto node, List<Place> found) {
        if (node.getOpType().equals("EmbedLayerNormalization")) {
            outOfReach(
                    graph.constant(Graph.input(node, WORDS)),
                    node,
                    Model.Role.EMBEDDING,
                    found,
                    "is inside a fused EmbedLayerNormalization; start from the model before ONNX Runtime's optimizer"
                            + " fused it");
        }
        for (GraphProto branch : Graph.inner(node)) {
            for (NodeProto deeper : branch.getNodeList()) {
                boolean looksUp = deeper.getOpType().equals("Gather");
                if (looksUp || deeper.getOpType().equals("MatMul")) {
                    outOfReach(
                            graph.constant(Graph.input(deeper, looksUp ? 0 : 1)),
                            deeper,
                            looksUp ? Model.Role.EMBEDDING : Model.Role.OUTPUT,
                            found,
                            "is used in a branch of a node " + Wording.quoted(node.getOpType())
                                    + ", where it is not looked for; start from the model without branches, such as"
                                    + " decoder_model.onnx instead of decoder_model_merged.onnx");
                }
                outOfReach(deeper, found);
            }
        }
    }

    private static void outOfReach(TensorProto stored, NodeProto node, Model.Role role, List<Place> found, String why) {
        boolean embedding = role == Model.Role.EMBEDDING;
        if (stored == null
                || stored.getDimsCount() != 2
                || !Operand.isPlain(DataType.forNumber(stored.getDataType()))) {
            return;
        }
        long rows = stored.getDims(embedding ? 0 : 1);
        long columns = stored.getDims(embedding ? 1 : 0);
        if (rows > columns) {
            found.add(new Place(
                    stored.getName(),
                    rows,
                    columns,
                    role,
                    !embedding,
                    Graph.input(node, 0),
                    node.getOutput(0),
                    DataType.forNumber(stored.getDataType()),
                    List.of(),
                    null,
                    1,
                    Logits.PLAIN,
                    null,
                    null,
                    false,
                    why));
        }
    }

    /** The operator of a node that uses a place's initializer, directly or transposed, and belongs to no place of it. */
    private String elsewhere(Place place, List<Place> found) {
        Set<String> served = new LinkedHashSet<>();
        found.stream().filter(other -> other.tensor().equals(place.tensor())).forEach(other -> other.nodes()
                .forEach(node -> served.add(node.getOutput(0))));
        return unserved(place.tensor(), served);
    }

    private String unserved(String value, Set<String> served) {
        if (graph.outputs().containsKey(value)) {
            return "output " + value;
        }
        for (NodeProto user : graph.users(value)) {
            if (!served.add(user.getOutput(0))) {
                continue;
            }
            boolean passes = PASSING.contains(user.getOpType());
            String deeper = passes ? unserved(user.getOutput(0), served) : user.getOpType();
            if (deeper != null) {
                return deeper;
            }
        }
        return null;
    }

    /** Whether a user said what a tensor is, and it is this. */
    static boolean isNamed(Place place, VocabularyChoice choice) {
        return place.tensor().equals(place.role() == Model.Role.EMBEDDING ? choice.input() : choice.output());
    }
}
