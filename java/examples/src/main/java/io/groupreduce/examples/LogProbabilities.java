package io.groupreduce.examples;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Log-probabilities as servers of the OpenAI API give them: with every token its own and those of the likeliest, from the pass that chose it. */
final class LogProbabilities {
    private LogProbabilities() {}

    /** A token and its log-probability under the model: at temperature 1, before penalties and filters. */
    record Token(String text, float logProbability) {}

    /** A chosen token, and the likeliest in its place. */
    record Chosen(Token token, List<Token> top) {}

    static List<Chosen> generate(LanguageModel model, int[] prompt, int most, Request request, int top) {
        SoftmaxHead head = model.head();
        Transformer.Cache cache = model.body().begin();
        float[] state = new float[head.hiddenSize()];
        States states = States.of(state);
        for (int token : prompt) {
            model.read(token, cache, state, 0);
        }
        Request[] requests = {request.prompt(prompt).top(top).probabilities(Probabilities.MODEL)};
        // Serves all steps: from the second on, an answer takes no new memory.
        Answers answers = Answers.of(1);
        List<Chosen> said = new ArrayList<>();
        int token = -1;
        while (said.size() < most && token != model.endOfText()) {
            head.answer(states, requests, answers);
            List<Token> likeliest = new ArrayList<>();
            for (int place = 0; place < answers.top(0); place++) {
                likeliest.add(new Token(model.word(answers.topToken(0, place)), answers.topLogProbability(0, place)));
            }
            token = answers.token(0);
            said.add(new Chosen(new Token(model.word(token), answers.logProbability(0)), likeliest));
            request.accept(token);
            model.read(token, cache, state, 0);
        }
        return said;
    }

    /** The log-probability of each token of a text but the first, given those before it: all of them in one pass. */
    static float[] ofText(LanguageModel model, int[] text) {
        int width = model.head().hiddenSize();
        float[] states = new float[(text.length - 1) * width];
        Transformer.Cache cache = model.body().begin();
        for (int i = 0; i < text.length - 1; i++) {
            model.read(text[i], cache, states, i * width);
        }
        return model.head().logProbabilities(States.of(states), Arrays.copyOfRange(text, 1, text.length));
    }
}
