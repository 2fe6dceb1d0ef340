package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Matrix;
import java.util.Arrays;
import java.util.List;

/**
 * Asks questions of every kind until their code is compiled. The states are rows of the matrix: like those of a model they have a
 * likeliest token, or heads that leave work out would learn here that it does not pay.
 */
final class WarmUp {
    /** Fewer than it takes to judge whether leaving work out pays. */
    private static final int ROUNDS = 16;

    private static final Sampling SOME = Sampling.temperature(0.8).withTopK(50).withTopP(0.95);

    private WarmUp() {}

    static void run(SoftmaxHead head, LoadedMatrix loaded, int[] batchSizes) {
        int most = Matrix.LONGEST_ARRAY / head.hiddenSize();
        for (int states : batchSizes) {
            if (states < 1 || states > most) {
                throw new InvalidOptionException(
                        "A batch to warm up for has " + states + " hidden states; give 1 to " + most + ".");
            }
        }
        for (int count : batchSizes) {
            States hidden = States.of(states(loaded, count));
            Answers answers = Answers.of(count);
            Request[] requests = new Request[count];
            for (int round = 0; round < ROUNDS; round++) {
                for (Request request : List.of(
                        Request.greedy(),
                        Request.sample(Sampling.temperature(1), round),
                        Request.sample(SOME, round).top(20).probabilities(Probabilities.MODEL))) {
                    Arrays.fill(requests, request);
                    head.answer(hidden, requests, answers);
                }
            }
        }
    }

    private static float[] states(LoadedMatrix loaded, int count) {
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++) {
            tokens[i] = (int) ((long) i * loaded.matrix().rows() / count);
        }
        float[] hidden = new float[count * loaded.matrix().columns()];
        try (Query query = loaded.query()) {
            query.session().rows(tokens, count, hidden, 0);
        }
        return hidden;
    }
}
