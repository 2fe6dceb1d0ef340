package io.groupreduce.models.run;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import java.util.List;

/** The output layer of a model, and whether it is what it is taken for, tried out on a few sequences of the text. */
final class OutputLayer {
    /** Relative to the largest logit: sums in another order, of F16 or BF16 too. */
    private static final double ROUNDING = 0.02;

    /** Logits of so many positions are computed here. */
    private static final int COMPARED = 4;

    /** Relative to the largest number of hidden states: what a token leaves in those before it. */
    private static final double TRACE = 1e-3;

    /** A model that knows the text is far below a uniform guess. */
    private static final double CLEARLY = 0.9;

    private final OnnxFile file;
    private final Place place;
    private final Matrix matrix;
    private final Logits logits;
    private final float[] bias;
    private final float[] ownBias;

    OutputLayer(OnnxFile file, Model model, Place place) {
        this.file = file;
        this.place = place;
        matrix = model.matrix(place.tensor());
        logits = model.logits(place.tensor());
        logits.requireComputable(matrix.name());
        bias = logits.bias() == null ? null : model.bias(logits);
        ownBias = place.bias() == null ? null : model.bias(new Logits(1, place.bias(), 0, null));
    }

    Matrix matrix() {
        return matrix;
    }

    Place place() {
        return place;
    }

    /** A runner of the graph up to the output layer, or with it. */
    Runner open(boolean whole, int threads) {
        List<String> values = whole ? List.of(place.input(), place.output()) : List.of(place.input());
        return Runner.open(file, GraphCut.cut(file.model(), values, List.of()), threads);
    }

    /**
     * The hidden states of one sequence, a row a token.
     *
     * @throws InvalidDataException if the graph gives them for other positions, or they are not finite
     */
    float[] states(Runner.Values hidden, int length) {
        int columns = matrix.columns();
        if (hidden.floats().length != (long) length * columns) {
            throw new InvalidDataException(Wording.file(file.path()) + " gives hidden states of shape "
                    + Wording.shape(hidden.shape()) + " for " + length + " tokens; one of " + columns
                    + " numbers for each is needed: export it with the logits of all positions.");
        }
        for (float value : hidden.floats()) {
            if (!Float.isFinite(value)) {
                throw new InvalidDataException(Wording.file(file.path())
                        + " gives hidden states that are NaN or infinite; run it in a wider type, such as F32.");
            }
        }
        return hidden.floats();
    }

    /** Whether a token changes nothing at the positions before it: then the model guesses the next token, else one that is masked. */
    boolean isCausal(Runner runner, int[] sequence) {
        int[] other = sequence.clone();
        int last = sequence.length - 1;
        other[last] = sequence[last] == sequence[0] ? sequence[last / 2] : sequence[0];
        if (other[last] == sequence[last]) {
            other[last] = (sequence[last] + 1) % matrix.rows();
        }
        float[] a = states(runner.run(new int[][] {sequence}, place.input()), sequence.length);
        float[] b = states(runner.run(new int[][] {other}, place.input()), sequence.length);
        float largest = 0;
        float change = 0;
        for (int i = 0; i < last * matrix.columns(); i++) {
            largest = Math.max(largest, Math.abs(a[i]));
            change = Math.max(change, Math.abs(a[i] - b[i]));
        }
        return change <= TRACE * largest;
    }

    /**
     * Compares the graph's logits with those of hidden states and matrix.
     *
     * @return the sum of the targets' cross-entropies in nats
     * @throws InvalidDataException if the logits are not those of the matrix
     */
    double check(Runner runner, int[] sequence, int[] positions, int[] targets) {
        List<Runner.Values> values = runner.run(new int[][] {sequence}, List.of(place.input(), place.output()));
        float[] hidden = states(values.get(0), sequence.length);
        float[] given = values.get(1).floats();
        int rows = matrix.rows();
        double sum = 0;
        for (int i = 0; i < positions.length; i++) {
            int from = positions[i] * rows;
            if (i % Math.ceilDiv(positions.length, COMPARED) == 0) {
                compare(hidden, positions[i], given, from);
            }
            sum += crossEntropy(given, from, targets[i]);
        }
        return sum;
    }

    private void compare(float[] hidden, int position, float[] given, int from) {
        int columns = matrix.columns();
        float[] row = new float[columns];
        double largest = 0;
        double apart = 0;
        for (int token = 0; token < matrix.rows(); token++) {
            matrix.readRow(token, row, 0);
            double sum = 0;
            for (int c = 0; c < columns; c++) {
                sum += (double) row[c] * hidden[position * columns + c];
            }
            double expected = place.factor() * sum + (ownBias == null ? 0 : ownBias[token]);
            largest = Math.max(largest, Math.abs(expected));
            apart = Math.max(apart, Math.abs(expected - given[from + token]));
        }
        if (!(apart <= ROUNDING * largest)) {
            throw new InvalidDataException(matrix.name() + " times the hidden states " + Wording.quoted(place.input())
                    + " is not what the model gives as " + Wording.quoted(place.output()) + " (they differ by " + apart
                    + "); name the output matrix with --output-tensor.");
        }
    }

    /** Of the model's own logits, which come of the layer's. */
    private double crossEntropy(float[] given, int from, int target) {
        double most = Double.NEGATIVE_INFINITY;
        for (int token = 0; token < matrix.rows(); token++) {
            most = Math.max(most, logit(given, from, token));
        }
        double sum = 0;
        for (int token = 0; token < matrix.rows(); token++) {
            sum += Math.exp(logit(given, from, token) - most);
        }
        return Math.log(sum) + most - logit(given, from, target);
    }

    private double logit(float[] given, int from, int token) {
        double product = (given[from + token] - (ownBias == null ? 0 : ownBias[token])) / place.factor();
        return logits.scale() * product + (bias == null ? 0 : bias[token]);
    }

    /** @throws InvalidDataException if targets are hardly likelier than by a uniform guess */
    void requireKnows(double crossEntropy, boolean masked) {
        double chance = Math.log(matrix.rows());
        if (!(crossEntropy < CLEARLY * chance)) {
            throw new InvalidDataException(String.format(
                    java.util.Locale.ROOT,
                    "%s guesses the %s tokens of the text with a cross-entropy of %.2f, and guessing blindly has ln %d = %.2f;"
                            + " give text of its language, and the tokenizer that belongs to it.",
                    Wording.file(file.path()),
                    masked ? "masked" : "next",
                    crossEntropy,
                    matrix.rows(),
                    chance));
        }
    }
}
