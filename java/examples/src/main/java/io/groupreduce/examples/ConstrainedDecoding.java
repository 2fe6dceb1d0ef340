package io.groupreduce.examples;

import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;

/** A loop that can say nothing but JSON: before each step the grammar tells the request which tokens are allowed. */
final class ConstrainedDecoding {
    private ConstrainedDecoding() {}

    static String generate(LanguageModel model, int[] prompt, Request request, JsonGrammar grammar) {
        SoftmaxHead head = model.head();
        Transformer.Cache cache = model.body().begin();
        float[] state = new float[head.hiddenSize()];
        States states = States.of(state);
        for (int token : prompt) {
            model.read(token, cache, state, 0);
        }
        while (!grammar.finished()) {
            int token = head.sample(states, request.allow(grammar.allowed()))[0];
            grammar.accept(token);
            model.read(token, cache, state, 0);
        }
        return grammar.text();
    }
}
