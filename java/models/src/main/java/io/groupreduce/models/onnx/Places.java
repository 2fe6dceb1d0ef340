package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.Model;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Finds where a graph uses the matrices of its vocabulary, by what it does with them. */
public final class Places {
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
        LookUps tables = new LookUps(graph);
        OutputLayers outputs = new OutputLayers(graph);
        for (NodeProto node : graph.nodes()) {
            tables.of(node).ifPresent(lookUps::add);
            outputs.of(node).ifPresent(layers::add);
        }
        List<Place> found = new ArrayList<>(LookUps.judge(lookUps, layers, choice));
        found.addAll(OutputLayers.judge(layers, found, choice));
        return found.stream()
                .map(place -> place.elsewhere(elsewhere(place, found)))
                .toList();
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
            if (served.contains(user.getOutput(0))) {
                continue;
            }
            boolean passes =
                    Set.of("Identity", "Cast", "Transpose", "DequantizeLinear").contains(user.getOpType());
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
