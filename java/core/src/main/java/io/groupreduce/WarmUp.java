package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Matrix;
import java.util.Arrays;
import java.util.List;

/**
 * Asks questions of every kind until their code is compiled. The states are rows of the matrix: like those of a model they have a
 * likeliest token.
 */
final class WarmUp {
    private static final int ROUNDS = 16;

    /** Rounds that work may be left out of: heads learn in use whether that pays, and not from made-up states. */
    private static final int BOUNDED = 2;

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
                for (Request request : requests(round, loaded.tolerance())) {
                    Arrays.fill(requests, request);
                    head.answer(hidden, requests, answers);
                }
            }
        }
    }

    private static List<Request> requests(int round, double tolerance) {
        Request greedy = Request.greedy();
        Request plain = Request.sample(Sampling.temperature(1), round);
        // Its sum takes all tokens.
        Request filtered = Request.sample(SOME, round).top(20).probabilities(Probabilities.DRAWN);
        if (round < BOUNDED) {
            return List.of(greedy, plain, filtered);
        }
        return tolerance > 0
                ? List.of(filtered)
                : List.of(
                        greedy.probabilities(Probabilities.MODEL), plain.probabilities(Probabilities.MODEL), filtered);
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
