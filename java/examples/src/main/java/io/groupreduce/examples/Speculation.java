package io.groupreduce.examples;

import io.groupreduce.States;
import java.util.ArrayList;
import java.util.List;

/**
 * Two bodies on one sequence: a cheap one runs ahead, and the true one reads in one batch what was proposed. {@link SpeculativeDecoding} and {@link
 * SpeculativeSampling} decide what is proposed and what is kept.
 */
final class Speculation {
    private final LanguageModel model;
    private final Transformer draft;
    private final Transformer.Cache ahead;
    private final Transformer.Cache truth;
    private final int width;
    private final float[] draftStates;
    private final float[] trueStates;
    /** What is read in this round: the last token of the sequence, then the proposals. */
    private final int[] tokens;

    private final List<Integer> said = new ArrayList<>();
    private int accepted;
    private int proposed;

    Speculation(LanguageModel model, Transformer draft, int[] prompt, int proposals) {
        this.model = model;
        this.draft = draft;
        this.ahead = draft.begin();
        this.truth = model.body().begin();
        this.width = model.head().hiddenSize();
        this.draftStates = new float[(proposals + 1) * width];
        this.trueStates = new float[(proposals + 1) * width];
        this.tokens = new int[proposals + 1];
        for (int i = 0; i < prompt.length - 1; i++) {
            model.read(draft, prompt[i], ahead, draftStates, 0);
            model.read(prompt[i], truth, trueStates, 0);
        }
        tokens[0] = prompt[prompt.length - 1];
    }

    /** Has the draft read the token at a place of this round, the places in their order; what it would say next follows from the state. */
    States draft(int place) {
        model.read(draft, tokens[place], ahead, draftStates, place * width);
        return draftState(place);
    }

    void propose(int place, int token) {
        tokens[place + 1] = token;
        proposed++;
    }

    int proposal(int place) {
        return tokens[place + 1];
    }

    /** Has the true body read all tokens of this round. Ours takes them one by one; an engine's takes them at once, which is the point. */
    States verify() {
        for (int i = 0; i < tokens.length; i++) {
            model.read(tokens[i], truth, trueStates, i * width);
        }
        return States.of(trueStates);
    }

    States draftState(int place) {
        return States.of(draftStates).from(place * width).first(1);
    }

    States trueState(int place) {
        return States.of(trueStates).from(place * width).first(1);
    }

    /** Ends the round: the first proposals are kept, another token follows, both caches forget the rest. */
    void keep(int proposals, int next) {
        for (int i = 0; i < proposals; i++) {
            said.add(proposal(i));
        }
        said.add(next);
        accepted += proposals;
        int forgotten = tokens.length - 1 - proposals;
        ahead.cut(ahead.length() - forgotten);
        truth.cut(truth.length() - forgotten);
        tokens[0] = next;
    }

    /** Whether enough was said, or the text has ended. */
    boolean finished(int most) {
        return said.size() >= most || said.contains(model.endOfText());
    }

    /** What was said, up to the end of the text; the last round may have said more. */
    int[] said(int most) {
        int end = said.indexOf(model.endOfText());
        return said.stream()
                .limit(end < 0 ? most : Math.min(most, end + 1))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /** Of all proposals, how many were kept. */
    double acceptance() {
        return (double) accepted / proposed;
    }
}
