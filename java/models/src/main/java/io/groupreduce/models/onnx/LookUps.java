package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** Rows that are chosen by numbers which a caller passes in: the embedding of the vocabulary, and tables that look like one. */
final class LookUps {
    /** Nodes that number, cut and shape tokens without making other numbers of them; their first input is looked at. */
    private static final Set<String> PASSING = Graph.operators("Cast Reshape Squeeze Unsqueeze Slice Identity Flatten"
            + " Transpose Gather Split Clip Max Min Expand Tile Pad ScatterElements ScatterND");
    /** The same with several inputs that may be the tokens. */
    private static final Set<String> JOINING = Graph.operators("Where Concat");

    private static final Pattern TOKENS =
            Pattern.compile("(?i)(.*[^a-z])?(input_?ids?|tokens?|token_?ids?|inp_?ids?|text|x_?ids?)([^a-z].*)?");
    private static final Pattern BESIDE =
            Pattern.compile("(?i).*(token_?type|segment|position|mask|cache|past|lang).*");

    private final Graph graph;
    /** The input that a place's ids come from, by the place's input. */
    private final Map<String, String> origins = new HashMap<>();

    private final VocabularyChoice choice;

    LookUps(Graph graph, VocabularyChoice choice) {
        this.graph = graph;
        this.choice = choice;
    }

    /** The place of a node, not judged yet; its {@code why} is the name of the graph's input. */
    Optional<Place> of(NodeProto node) {
        boolean packed = node.getOpType().equals("GatherBlockQuantized");
        if (!packed && !node.getOpType().equals("Gather") || Graph.input(node, 1) == null) {
            return Optional.empty();
        }
        String axis = packed ? "gather_axis" : "axis";
        String ids = Graph.input(node, 1);
        String origin = origins.computeIfAbsent(ids, value -> origin(value, new HashSet<>()));
        if (origin == null || Graph.integer(node, axis, 0) != 0) {
            return Optional.empty();
        }
        return packed ? packed(node, ids, origin) : plain(node, ids, origin);
    }

    private Optional<Place> plain(NodeProto gather, String ids, String origin) {
        Operand table = Operand.of(graph, Graph.input(gather, 0));
        if (table == null) {
            return Optional.empty();
        }
        List<NodeProto> nodes = new ArrayList<>(table.nodes());
        nodes.add(gather);
        String output = gather.getOutput(0);
        DataType type = table.type();
        if (!Operand.isPlain(type)) {
            // Codes are looked up, and made numbers afterwards.
            NodeProto next = graph.isInner(output) ? graph.users(output).get(0) : null;
            if (next == null || !next.getOpType().equals("DequantizeLinear")) {
                return Optional.empty();
            }
            nodes.add(next);
            output = next.getOutput(0);
            TensorProto scale = graph.constant(Graph.input(next, 1));
            type = scale == null ? DataType.FLOAT : DataType.forNumber(scale.getDataType());
        }
        return Optional.of(place(
                table.stored().getName(),
                table.rows(),
                table.columns(),
                table.turned(),
                ids,
                output,
                type,
                nodes,
                table.quantised(),
                origin));
    }

    private Optional<Place> packed(NodeProto gather, String ids, String origin) {
        TensorProto codes = graph.constant(Graph.input(gather, 0));
        TensorProto scales = graph.constant(Graph.input(gather, 2));
        if (codes == null || scales == null || codes.getDimsCount() < 2) {
            return Optional.empty();
        }
        long bits = Graph.integer(gather, "bits", 4);
        long columns = codes.getDimsList().stream().skip(1).reduce(1L, (a, b) -> a * b);
        boolean inBytes = codes.getDataType() == DataType.UINT8.getNumber();
        return Optional.of(place(
                codes.getName(),
                codes.getDims(0),
                inBytes ? columns * 8 / bits : columns,
                false,
                ids,
                gather.getOutput(0),
                DataType.forNumber(scales.getDataType()),
                List.of(gather),
                "quantised (" + bits + " bits, GatherBlockQuantized)",
                origin));
    }

    private static Place place(
            String tensor,
            long rows,
            long columns,
            boolean turned,
            String ids,
            String output,
            DataType type,
            List<NodeProto> nodes,
            String quantised,
            String origin) {
        return new Place(
                tensor,
                rows,
                columns,
                Model.Role.EMBEDDING,
                turned,
                ids,
                output,
                type,
                nodes,
                null,
                1,
                Logits.PLAIN,
                quantised,
                null,
                false,
                origin);
    }

    /** The input of whole numbers that ids come from as they are; {@code null} if they come from none. */
    private String origin(String value, Set<String> seen) {
        ValueInfoProto input = graph.inputs().get(value);
        if (input != null) {
            int type = input.getType().getTensorType().getElemType();
            return type == DataType.INT32.getNumber() || type == DataType.INT64.getNumber() ? value : null;
        }
        NodeProto maker = graph.maker(value);
        if (maker == null || !seen.add(value)) {
            return null;
        }
        if (PASSING.contains(maker.getOpType())) {
            return origin(Graph.input(maker, 0), seen);
        }
        if (JOINING.contains(maker.getOpType())) {
            return maker.getInputList().stream()
                    .map(each -> origin(each, seen))
                    .filter(found -> found != null)
                    .findFirst()
                    .orElse(null);
        }
        return null;
    }

    /**
     * Decides which are the vocabulary's: names of inputs first, then how many rows the logits have, then the tallest.
     *
     * @param found with the name of the graph's input as their {@code why}
     */
    List<Place> judge(List<Place> found, List<Place> layers) {
        List<Place> preferred =
                found.stream().filter(place -> isTokens(place.why())).toList();
        boolean byName = !preferred.isEmpty();
        if (!byName) {
            preferred = found.stream()
                    .filter(place -> !BESIDE.matcher(place.why()).matches())
                    .toList();
        }
        Map<String, Long> heights = new HashMap<>();
        for (Place place : preferred) {
            heights.merge(group(place, byName), place.rows(), Math::max);
        }
        preferred.stream()
                .filter(place -> !byName && isAsTall(place, layers))
                .forEach(place -> heights.put("", place.rows()));
        List<Place> judged = new ArrayList<>();
        for (Place place : found) {
            boolean likeLogits = isAsTall(place, layers);
            String ids = "input " + Wording.quoted(place.why());
            if (choice.input() != null) {
                boolean named = Places.isNamed(place, choice);
                judged.add(place.judged(named, named ? "is named to be that" : "is not the one that is named"));
            } else if (!preferred.contains(place)) {
                judged.add(place.judged(false, "is chosen from by " + ids + ", which does not seem to hold tokens"));
            } else if (place.rows() != heights.get(group(place, byName))) {
                judged.add(place.judged(false, "is chosen from by " + ids + " and has fewer rows than another one"));
            } else if (!byName && !likeLogits && place.rows() <= place.columns()) {
                judged.add(place.judged(
                        false,
                        "is chosen from by " + ids + ", which may hold something else than tokens; if it does not, say"
                                + " so with --input-tensor"));
            } else {
                judged.add(place.judged(
                        true,
                        "is chosen from by " + ids
                                + (byName
                                        ? ""
                                        : likeLogits ? ", and logits have as many rows" : ", the tallest such")));
            }
        }
        return judged;
    }

    /** Tables of one group are the vocabulary's if they are as tall as its tallest: several inputs may hold tokens of several vocabularies. */
    private static String group(Place place, boolean byName) {
        return byName ? place.why() : "";
    }

    private static boolean isAsTall(Place place, List<Place> layers) {
        return layers.stream().anyMatch(layer -> layer.rows() == place.rows());
    }

    private static boolean isTokens(String input) {
        return TOKENS.matcher(input).matches() && !BESIDE.matcher(input).matches();
    }
}
