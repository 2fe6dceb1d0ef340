package io.groupreduce.examples;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;

/**
 * Speculation by the rule of Leviathan, Kalman and Matias (2023): a proposal x, drawn from the draft's q, is kept with probability min(1, p(x) / q(x));
 * in place of the first that is not, a token is drawn from max(0, p - q), scaled to sum to 1. What comes out is distributed as in the plain loop,
 * and with a draft that draws in any other way too; {@link SpeculativeDecoding} is simpler where draft and body share the head's noise.
 */
final class SpeculativeSampling {
    private SpeculativeSampling() {}

    /** For draws from all allowed tokens: p and q are probabilities before top-k, top-p and min-p. */
    static Speculation generate(
            LanguageModel model,
            Transformer draft,
            int[] prompt,
            int most,
            Request request,
            int proposals,
            RandomGenerator random) {
        SoftmaxHead head = model.head();
        Speculation round = new Speculation(model, draft, prompt, proposals);
        Request[] requests = new Request[proposals + 1];
        double[] q = new double[proposals];
        Answers answers = Answers.of(requests.length);
        request.prompt(prompt).probabilities(Probabilities.DRAWN);
        while (!round.finished(most)) {
            Request ahead = request.copy();
            for (int i = 0; i < proposals; i++) {
                requests[i] = ahead.copy();
                head.answer(round.draft(i), new Request[] {ahead}, answers);
                int x = answers.token(0);
                q[i] = Math.exp(answers.logProbability(0));
                round.propose(i, x);
                requests[i].score(x);
                ahead.accept(x);
            }
            requests[proposals] = ahead;
            round.draft(proposals);
            head.answer(round.verify(), requests, answers);
            int kept = 0;
            while (kept < proposals && random.nextDouble() * q[kept] < Math.exp(answers.scoreLogProbability(kept, 0))) {
                request.accept(round.proposal(kept++));
            }
            int next = kept == proposals
                    ? answers.token(kept)
                    : residual(head, round.trueState(kept), round.draftState(kept), request, random);
            request.accept(next);
            round.keep(kept, next);
        }
        return round;
    }

    /** A draw from max(0, p - q), which takes both distributions whole. */
    private static int residual(SoftmaxHead head, States truth, States draft, Request request, RandomGenerator random) {
        Map<Integer, Double> q = distribution(head, draft, request);
        Map<Integer, Double> left = distribution(head, truth, request);
        left.replaceAll((token, p) -> Math.max(0, p - q.get(token)));
        double rest = random.nextDouble()
                * left.values().stream().mapToDouble(Double::doubleValue).sum();
        int token = -1;
        for (Map.Entry<Integer, Double> entry : left.entrySet()) {
            if (entry.getValue() > 0 && rest >= 0) {
                token = entry.getKey();
                rest -= entry.getValue();
            }
        }
        return token;
    }

    private static Map<Integer, Double> distribution(SoftmaxHead head, States state, Request request) {
        Answers answers = Answers.of(1);
        head.answer(state, new Request[] {request.copy().top(head.vocabularySize())}, answers);
        Map<Integer, Double> distribution = new HashMap<>();
        for (int place = 0; place < answers.top(0); place++) {
            distribution.put(answers.topToken(0, place), Math.exp(answers.topLogProbability(0, place)));
        }
        return distribution;
    }
}
