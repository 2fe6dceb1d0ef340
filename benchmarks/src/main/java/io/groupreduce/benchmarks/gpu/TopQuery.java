package io.groupreduce.benchmarks.gpu;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.Arrays;
import java.util.SplittableRandom;

/** The likeliest tokens of each state of a batch with log-probabilities, asked for again and again. */
final class TopQuery {
    private final States hidden;
    private final Request[] requests;
    private final Answers answers;

    TopQuery(float[] hidden, int batch, int k) {
        this.hidden = States.of(hidden);
        requests = new Request[batch];
        Arrays.fill(requests, Request.look().top(k).probabilities(Probabilities.MODEL));
        answers = Answers.of(batch);
    }

    /** Hidden states for heads whose numbers do not matter: between -1 and 1, always the same. */
    static float[] states(int count, int columns) {
        SplittableRandom random = new SplittableRandom(7);
        float[] hidden = new float[count * columns];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) (random.nextDouble() * 2 - 1);
        }
        return hidden;
    }

    Answers ask(SoftmaxHead head) {
        head.answer(hidden, requests, answers);
        return answers;
    }
}
