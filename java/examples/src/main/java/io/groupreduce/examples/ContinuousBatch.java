package io.groupreduce.examples;

import io.groupreduce.Answers;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/**
 * Users who come and go: every step, one pass over the output matrix chooses a token for each who is there, as that user's request says. Who else is there,
 * and at which place of the batch, changes nobody's tokens.
 */
final class ContinuousBatch {
    private final LanguageModel model;
    private final SoftmaxHead head;
    private final int width;
    private final float[] buffer;
    private final States states;
    private final Request[] requests;
    private final Answers answers;
    private final List<User> present = new ArrayList<>();

    /** A sequence and what it asks. */
    static final class User {
        private final int[] prompt;
        private final int most;
        private final Request request;
        private final List<Integer> said = new ArrayList<>();
        private Transformer.Cache cache;
        private int next;

        User(int[] prompt, int most, Request request) {
            this.prompt = prompt;
            this.most = most;
            this.request = request.prompt(prompt);
        }

        int[] said() {
            return said.stream().mapToInt(Integer::intValue).toArray();
        }
    }

    /** Memory for so many users at a time is taken here and nowhere else. */
    ContinuousBatch(LanguageModel model, int places) {
        this.model = model;
        this.head = model.head();
        this.width = head.hiddenSize();
        this.buffer = new float[places * width];
        this.states = States.of(buffer);
        this.requests = new Request[places];
        this.answers = Answers.of(places);
    }

    /** Serves users in their order, as places become free. */
    void serve(List<User> users) {
        Deque<User> waiting = new ArrayDeque<>(users);
        while (!waiting.isEmpty() || !present.isEmpty()) {
            while (!waiting.isEmpty() && present.size() < requests.length) {
                enter(waiting.poll());
            }
            step();
        }
    }

    private void enter(User user) {
        user.cache = model.body().begin();
        int last = user.prompt.length - 1;
        for (int i = 0; i < last; i++) {
            // The place is free, and the state of a token that is followed by another is not needed.
            model.read(user.prompt[i], user.cache, buffer, present.size() * width);
        }
        user.next = user.prompt[last];
        present.add(user);
    }

    /** One token more for all who are there; those who have all of theirs leave. */
    private void step() {
        int count = present.size();
        for (int i = 0; i < count; i++) {
            User user = present.get(i);
            model.read(user.next, user.cache, buffer, i * width);
            requests[i] = user.request;
        }
        head.answer(states.first(count), Arrays.copyOf(requests, count), answers);
        for (int i = count - 1; i >= 0; i--) {
            User user = present.get(i);
            user.next = answers.token(i);
            user.request.accept(user.next);
            user.said.add(user.next);
            if (user.said.size() == user.most || user.next == model.endOfText()) {
                // The last one takes the place.
                present.set(i, present.getLast());
                present.removeLast();
            }
        }
    }
}
