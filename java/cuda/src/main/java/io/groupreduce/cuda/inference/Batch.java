package io.groupreduce.cuda.inference;

import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.Question;

/**
 * What is asked in a call.
 *
 * @param questions the first {@code count} are asked; {@code null} for the logits of as many states
 * @param chosen {@code null} for none
 */
record Batch(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
    static Batch ofLogits(float[] hidden, int states) {
        return new Batch(hidden, states, null, states, null);
    }

    /** The state of a question. */
    int state(int question) {
        return questions == null ? question : questions[question].state();
    }

    /** Where the chosen tokens of a state begin, or end those of the state before. */
    int firstTarget(int state) {
        return chosen == null ? 0 : chosen.from()[state];
    }
}
