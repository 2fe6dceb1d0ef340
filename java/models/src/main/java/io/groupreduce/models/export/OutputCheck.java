package io.groupreduce.models.export;

import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;

/** An output layer of a graph beside a compressed matrix, on hidden states: given ones, or random ones. */
final class OutputCheck implements PlaceCheck {
    private final Place place;
    private final float[] states;
    private final boolean given;
    private final float[] bias;
    private final float[] own;
    private final float[] compressed;

    private OutputCheck(Place place, float[] states, boolean given, float[] bias, float[] own, float[] compressed) {
        this.place = place;
        this.states = states;
        this.given = given;
        this.bias = bias;
        this.own = own;
        this.compressed = compressed;
    }

    /**
     * Runs the model's own layer and the compressed matrix.
     *
     * @param hidden states, T x D; {@code null} for random ones
     */
    static OutputCheck of(OnnxFile model, Place place, CompressedMatrix matrix, Matrix hidden, Parallel threads) {
        float[] states = hidden == null ? HeadStates.of(matrix, threads) : HeadStates.of(hidden, matrix.rows());
        float[] bias = place.bias() == null ? null : model.floats(place.bias());
        float[] own = PlacedLogits.of(model, place, states, 1);
        float[] itsBias = PlacedLogits.bias(model, place, matrix);
        float[] compressed = HeadCheck.logits(matrix, place.factor(), itsBias, states, threads);
        return new OutputCheck(place, states, hidden != null, bias, own, compressed);
    }

    /** Beside the same compressed matrix, what another graph has in the place. */
    OutputCheck in(OnnxFile written) {
        return new OutputCheck(place, states, given, bias, PlacedLogits.of(written, place, states, 1), compressed);
    }

    @Override
    public double error() {
        return HeadCheck.error(own, compressed, bias, (int) place.rows(), 0);
    }

    @Override
    public double nearness() {
        return error() / HeadCheck.error(own, compressed, bias, (int) place.rows(), 1);
    }

    @Override
    public int counted() {
        return states.length / (int) place.columns();
    }

    /** The norm of the differences from what another graph gives, as a share. */
    double error(OutputCheck other) {
        return HeadCheck.error(own, other.own, bias, (int) place.rows(), 0);
    }

    /** KL of this softmax to another one of the same states, in nats; NaN of random states, which make no distributions of the model's. */
    double divergence(OutputCheck other) {
        return given ? HeadCheck.divergence(own, other.own, (int) place.rows()) : Double.NaN;
    }

    /** Of how many states both find the same token most likely, as a share; NaN of random states. */
    double agreement(OutputCheck other) {
        return given ? HeadCheck.agreement(own, other.own, (int) place.rows()) : Double.NaN;
    }
}
