package io.groupreduce.examples;

import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.Arrays;

/** The plain loop: one sequence, one token a step, greedy or drawn as the request says. */
final class DecoderLoop {
    private DecoderLoop() {}

    /** Up to {@code most} tokens that follow the prompt, the end of the text among them if it comes. */
    static int[] generate(LanguageModel model, int[] prompt, int most, Request request) {
        SoftmaxHead head = model.head();
        Transformer.Cache cache = model.body().begin();
        float[] state = new float[head.hiddenSize()];
        // A view: what the body writes into the array is what the head reads.
        States states = States.of(state);
        request.prompt(prompt);
        for (int token : prompt) {
            model.read(token, cache, state, 0);
        }
        int[] said = new int[most];
        for (int i = 0; i < most; i++) {
            // The request accepts its token: penalties count it, and the next draw is another one.
            said[i] = head.sample(states, request)[0];
            if (said[i] == model.endOfText()) {
                return Arrays.copyOf(said, i + 1);
            }
            model.read(said[i], cache, state, 0);
        }
        return said;
    }
}
