package io.groupreduce.format;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Finds the bias that a model adds to the logits of a matrix: {@code X.bias} to {@code X.weight}, or for an embedding that is the
 * output as well the bias of one of the usual output names.
 */
public final class SoftmaxBias {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";
    private static final List<String> OUTPUTS = List.of("lm_head.", "softmax.", "decoder.", "embed_out.");

    private SoftmaxBias() {}

    /**
     * The bias of a matrix of the model, length N; {@code null} if it has none.
     *
     * @throws io.groupreduce.error.InvalidDataException if there is no such matrix
     */
    public static float[] of(Model model, String matrix) {
        long rows = model.require(matrix).shape()[0];
        return find(model.tensors(), matrix, rows).map(Tensor::floats).orElse(null);
    }

    /** The bias among the tensors of a model that belongs to a matrix of {@code rows} rows. */
    static Optional<Tensor> find(Map<String, Tensor> tensors, String matrix, long rows) {
        List<String> names = new ArrayList<>(List.of(nameFor(matrix)));
        if (VocabularyNames.tells(matrix, Model.Role.EMBEDDING)) {
            tensors.keySet().stream().filter(SoftmaxBias::isOfAnOutput).forEach(names::add);
        }
        return names.stream()
                .map(tensors::get)
                .filter(t -> t != null && t.type().compressible())
                .filter(t -> t.shape().length == 1 && t.shape()[0] == rows)
                .findFirst();
    }

    private static boolean isOfAnOutput(String name) {
        return OUTPUTS.stream().anyMatch(stem -> name.equals(stem + BIAS) || name.endsWith("." + stem + BIAS));
    }

    /** What the bias of a matrix is called: {@code X.bias} for {@code X.weight} and for {@code X}. */
    static String nameFor(String matrix) {
        return matrix.endsWith(WEIGHT)
                ? matrix.substring(0, matrix.length() - WEIGHT.length()) + BIAS
                : matrix + "." + BIAS;
    }
}
