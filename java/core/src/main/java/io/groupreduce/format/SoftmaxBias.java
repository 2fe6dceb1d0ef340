package io.groupreduce.format;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Finds and reads the bias that a model adds to the logits of an output matrix: {@code X.bias} to {@code X.weight}, else a tensor under
 * one of the names that the table of {@link VocabularyNames} has. It may have any shape of N numbers along one side.
 */
final class SoftmaxBias {
    private static final String WEIGHT = "weight";
    private static final String BIAS = "bias";
    /** What stands once for the vocabulary has no number in its name. */
    private static final Pattern IN_LAYER = Pattern.compile("(?:^|.*\\.)[0-9]+\\..*");

    private SoftmaxBias() {}

    /**
     * The bias of an output matrix of the model.
     *
     * @param where the model, for messages
     * @param chosen the name that the user gave it; {@code null} to find it
     * @throws InvalidDataException if a tensor is named like one but has not N numbers, or two are and differ
     */
    static Optional<Tensor> find(String where, Map<String, Tensor> tensors, Tensor matrix, String chosen) {
        long rows = matrix.shape()[0];
        Tensor own = tensors.get(chosen == null ? nameFor(matrix.name()) : chosen);
        if (own != null) {
            requireFits(where, own, matrix, rows);
            return Optional.of(own);
        }
        List<Tensor> named = VocabularyNames.biases(tensors.keySet()).stream()
                .filter(name -> !IN_LAYER.matcher(name).matches() && !isOfAnother(name, tensors, matrix))
                .map(tensors::get)
                .toList();
        List<Tensor> found = named.stream().filter(t -> fits(t, rows)).toList();
        if (found.isEmpty()) {
            named.stream()
                    .filter(t -> VocabularyFinder.fits(t.elements(), rows) || !VocabularyNames.isCommonBias(t.name()))
                    .findFirst()
                    .ifPresent(first -> requireFits(where, first, matrix, rows));
        }
        for (Tensor other : found) {
            if (!Arrays.equals(values(other), values(found.getFirst()))) {
                throw new InvalidDataException(where + ": tensors "
                        + Wording.quoted(found.getFirst().name()) + " and " + Wording.quoted(other.name())
                        + " differ, and either may be the bias of " + Wording.quoted(matrix.name())
                        + "; leave the one out that is not.");
            }
        }
        return found.stream().findFirst();
    }

    /** Tensors of so many numbers that are called a bias and stand once for the vocabulary. */
    static Stream<Tensor> unnamed(Map<String, Tensor> tensors, long rows) {
        return tensors.values().stream()
                .filter(t -> t.name().toLowerCase(Locale.ROOT).contains(BIAS) && fits(t, rows))
                .filter(t -> !IN_LAYER.matcher(t.name()).matches());
    }

    /** {@code X.bias} belongs to {@code X.weight}: if that is there and no copy of this matrix, to another one. */
    private static boolean isOfAnother(String bias, Map<String, Tensor> tensors, Tensor matrix) {
        String stem = bias.substring(0, bias.length() - BIAS.length());
        Tensor weight = tensors.get(stem + WEIGHT);
        return weight != null && !weight.sameContent(matrix);
    }

    private static boolean fits(Tensor bias, long rows) {
        return (bias.type().compressible() || bias.type() == DType.F64)
                && bias.elements() == rows
                && Arrays.stream(bias.shape()).filter(side -> side != 1).count() <= 1;
    }

    private static void requireFits(String where, Tensor bias, Tensor matrix, long rows) {
        if (!fits(bias, rows)) {
            throw new InvalidDataException(
                    where + ": tensor " + Wording.quoted(bias.name()) + " is named like the bias of "
                            + Wording.quoted(matrix.name()) + " but has type " + bias.type() + " and shape "
                            + Wording.shape(bias.shape()) + "; " + rows
                            + " numbers of F64, F32, F16 or BF16 are needed, or none.");
        }
    }

    /** @throws IllegalArgumentException if it is {@code null} or could not be the bias of a matrix of so many rows */
    static void requireFits(Tensor bias, long rows) {
        if (bias == null || !fits(bias, rows)) {
            throw new IllegalArgumentException("name a bias that is no tensor of " + rows + " numbers");
        }
    }

    /** All numbers as binary32. */
    static float[] values(Tensor bias) {
        if (bias.type() != DType.F64) {
            return bias.floats();
        }
        float[] values = new float[(int) bias.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) bias.data().get(LittleEndian.F64, (long) Double.BYTES * i);
        }
        return values;
    }

    /** What the bias of a matrix is called: {@code X.bias} for {@code X.weight} and for {@code X}. */
    static String nameFor(String matrix) {
        return matrix.endsWith(WEIGHT)
                ? matrix.substring(0, matrix.length() - WEIGHT.length()) + BIAS
                : matrix + "." + BIAS;
    }
}
