package io.groupreduce.examples;

import io.groupreduce.Answers;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;

/**
 * Speculation that says what the plain loop says, token for token, greedy or drawn. A draw follows from seed, step and logits: a draft that draws with a
 * copy of the request meets the same noise, so proposals are kept as long as they are what the true body draws.
 */
final class SpeculativeDecoding {
    private SpeculativeDecoding() {}

    static Speculation generate(
            LanguageModel model, Transformer draft, int[] prompt, int most, Request request, int proposals) {
        SoftmaxHead head = model.head();
        Speculation round = new Speculation(model, draft, prompt, proposals);
        Request[] requests = new Request[proposals + 1];
        Answers answers = Answers.of(requests.length);
        request.prompt(prompt);
        while (!round.finished(most)) {
            Request ahead = request.copy();
            for (int i = 0; i < proposals; i++) {
                // As the request will be once the proposals before this place are accepted.
                requests[i] = ahead.copy();
                round.propose(i, head.sample(round.draft(i), ahead)[0]);
            }
            requests[proposals] = ahead;
            round.draft(proposals);
            head.answer(round.verify(), requests, answers);
            int kept = 0;
            while (kept < proposals && answers.token(kept) == round.proposal(kept)) {
                request.accept(answers.token(kept++));
            }
            request.accept(answers.token(kept));
            round.keep(kept, answers.token(kept));
        }
        return round;
    }
}
