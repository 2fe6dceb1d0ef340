package io.groupreduce.testkit;

import static io.groupreduce.testkit.InferenceChecks.assertAnswers;
import static io.groupreduce.testkit.InferenceChecks.assertChosen;
import static io.groupreduce.testkit.InferenceChecks.assertLogits;
import static io.groupreduce.testkit.InferenceChecks.assertPrunedAlike;
import static io.groupreduce.testkit.InferenceChecks.assertRows;
import static io.groupreduce.testkit.InferenceChecks.chosen;
import static io.groupreduce.testkit.InferenceChecks.first;
import static io.groupreduce.testkit.InferenceChecks.forEach;
import static io.groupreduce.testkit.InferenceChecks.mixed;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.MatrixBuilder.Layout;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

/**
 * What a backend must answer where its way of working ends: batches and lists longer than it takes at a time, groups that end in the
 * middle of a byte, numbers that only other writers store, states beyond binary32. Not public: part of {@link InferenceContract}.
 */
abstract class InferenceEdges extends RequestContract {
    /** Loads each case without pruning on two threads of the backend under test, and closes it. */
    final void ask(List<InferenceCase> cases, BiConsumer<InferenceCase, InferenceSession> check) {
        forEach(cases, c -> {
            try (ComputeBackend tested = backend(2);
                    InferenceSession session = c.load(tested)) {
                check.accept(c, session);
            }
        });
    }

    @Test
    void batchesOfManyStatesMatchTheReference() {
        ask(List.of(InferenceCase.chunks(71)), (c, session) -> {
            for (int states : slow() ? new int[] {265} : new int[] {265, InferenceCase.MANY_STATES}) {
                assertAnswers(c, session, first(states), mixed(c, states, states, 0), "many");
                assertLogits(c, session, first(states));
                Chosen some = chosen(c, states, 2);
                InferenceChecks.ask(c, session, first(states), List.of(), some);
                assertChosen(c, first(states), some, "many");
            }
        });
    }

    @Test
    void longListsMatchTheReference() {
        ask(
                List.of(InferenceCase.longLists(72, Numbers.SMOOTH), InferenceCase.longLists(72, Numbers.EXACT)),
                (c, session) -> {
                    List<PlainQuestion> questions = new ArrayList<>();
                    for (int k : new int[] {65, 127, 128, 512, 1023, 1024}) {
                        questions.add(new PlainQuestion(questions.size() / 2, null).list(k));
                        questions.add(new PlainQuestion(questions.size() / 2, null)
                                .list(k)
                                .sum(1, 0));
                    }
                    assertAnswers(c, session, first(6), questions, "long lists");
                });
    }

    @Test
    void numbersThatOnlyOtherWritersStoreAreRead() {
        try (InferenceCase c = InferenceCase.foreign(73);
                ComputeBackend tested = backend(2);
                InferenceSession plain = c.load(tested);
                InferenceSession always = tested.load(c.problem(Pruning.ALWAYS))) {
            assertRows(c, plain);
            Chosen some = chosen(c, 5, 2);
            InferenceChecks.ask(c, plain, first(5), List.of(), some);
            assertChosen(c, first(5), some, "foreign");
            for (int states : slow() ? new int[] {5} : new int[] {1, 2, 5, 17}) {
                assertLogits(c, plain, first(states));
                assertPrunedAlike(c, plain, always, first(states), mixed(c, states, 3 + states, 0));
            }
        }
    }

    @Test
    void directionsBeyondTheRankOfAGroupDoNotDisturbIt() {
        forEach(
                List.of(
                        InferenceCase.shortRank(74, false, 1),
                        InferenceCase.shortRank(75, false, 3),
                        InferenceCase.shortRank(76, false, 31),
                        InferenceCase.shortRank(77, true, 1),
                        InferenceCase.shortRank(78, true, 33)),
                c -> {
                    try (ComputeBackend tested = backend(2);
                            InferenceSession plain = c.load(tested);
                            InferenceSession always = tested.load(c.problem(Pruning.ALWAYS))) {
                        assertUndisturbed(c, plain, always, first(c.states()));
                        for (int state = 0; state < c.states(); state++) {
                            assertUndisturbed(c, plain, always, new int[] {state});
                        }
                    }
                });
    }

    private static void assertUndisturbed(
            InferenceCase c, InferenceSession plain, InferenceSession always, int[] states) {
        assertLogits(c, plain, states);
        for (int turn : new int[] {1, 15, 30}) {
            assertPrunedAlike(c, plain, always, states, mixed(c, states.length, turn, 0));
        }
        Chosen some = chosen(c, states.length, 2);
        InferenceChecks.ask(c, plain, states, List.of(), some);
        assertChosen(c, states, some, "undisturbed");
    }

    /**
     * A coordinate of one state is beyond binary32. Questions open to all tokens have no answer then; of those open only to tokens that it does not
     * enter, and of such tokens one by one, a backend may know it or not. Other states are answered.
     */
    @Test
    void statesBeyondBinary32HaveNoAnswerAndOthersTheirs() {
        for (Codec codec : new Codec[] {Codec.F32, Codec.INT4}) {
            try (InferenceCase c = InferenceCase.overflowing(79, new Layout(codec, ScaleFormat.F32, false));
                    ComputeBackend tested = backend(2)) {
                long[] dense = new long[(c.matrix.rows() + 63) / 64];
                for (int token = 0; token < c.matrix.rows(); token++) {
                    dense[token >> 6] |= c.matrix.group(token) == 2 ? 1L << token : 0;
                }
                for (Pruning pruning : new Pruning[] {Pruning.OFF, Pruning.ALWAYS}) {
                    try (InferenceSession session = tested.load(c.problem(pruning))) {
                        for (int[] states : new int[][] {{0}, {2, 0, 3}, {4, 5, 6, 7, 8, 9, 2, 3, 1}}) {
                            assertBrokenAndOthers(c, session, states, dense);
                        }
                    }
                }
            }
        }
    }

    /** Hidden states 0 and 1 are broken. */
    private static void assertBrokenAndOthers(InferenceCase c, InferenceSession session, int[] states, long[] dense) {
        List<PlainQuestion> questions = new ArrayList<>();
        for (int s = 0; s < states.length; s++) {
            questions.add(new PlainQuestion(s, null).list(20).sum(1, 0).draw(1, s));
            questions.add(new PlainQuestion(s, null).list(1));
            questions.add(new PlainQuestion(s, null).sum(0.3, 0));
            questions.add(new PlainQuestion(s, null).draw(3, s));
            questions.add(new PlainQuestion(s, dense).list(3).sum(1, 0).draw(1, s));
        }
        Chosen some = chosen(c, states.length, 0);
        InferenceChecks.ask(c, session, states, questions, some);
        for (PlainQuestion question : questions) {
            int state = states[question.state()];
            if (state > 1) {
                c.oracle().assertAnswer(state, question, "beside broken ones");
            } else if (question.open() != null && Float.isFinite(question.largest)) {
                question.assertAnsweredOnce(true, c.at("of a group that is not broken"));
                for (int i = 0; i < question.listed(); i++) {
                    assertDense(c, state, question.tokens[i], question.logits[i]);
                }
                assertDense(c, state, question.tokens[0], question.largest);
                assertDense(c, state, question.drawn, question.drawnLogit);
            } else {
                assertBroken(question, c.at("broken"));
            }
        }
        int rows = c.matrix.rows();
        float[] all = new float[states.length * rows];
        session.logits(c.hidden(states), states.length, MemorySegment.ofArray(all));
        for (int s = 0; s < states.length; s++) {
            for (int i = some.from()[s]; i < some.from()[s + 1]; i++) {
                assertLogit(c, states[s], some.tokens()[i], some.logits()[i]);
            }
            for (int token = 0; token < rows; token++) {
                assertLogit(c, states[s], token, all[s * rows + token]);
            }
        }
    }

    private static void assertLogit(InferenceCase c, int state, int token, float logit) {
        if (state > 1) {
            c.oracle().assertLogit(state, token, logit, "beside broken ones");
        } else if (Float.isFinite(logit)) {
            assertDense(c, state, token, logit);
        }
    }

    /** The logit of a token of the group whose logits are within binary32. */
    private static void assertDense(InferenceCase c, int state, int token, float logit) {
        int columns = c.matrix.columns();
        assertEquals(
                2, c.matrix.group(token), c.at("token " + token + " with logit " + logit + " is of a broken group"));
        float[] row = new float[columns];
        c.matrix.decodeRows(token, 1, row, 0);
        double exact = 0;
        double magnitude = 0;
        for (int j = 0; j < columns; j++) {
            exact += (double) row[j] * c.hidden[state * columns + j];
            magnitude += Math.abs((double) row[j] * c.hidden[state * columns + j]);
        }
        assertEquals(exact, logit, 0x1p-24 * (4 + Math.sqrt(columns)) * magnitude, c.at("token " + token));
    }

    private static void assertBroken(PlainQuestion question, String what) {
        question.assertAnsweredOnce(true, what);
        for (int place = 0; place < question.listed(); place++) {
            assertEquals(-1, question.tokens[place], what + ", " + question);
            assertTrue(Float.isNaN(question.logits[place]), what + ", " + question);
        }
        if (question.sumTemperature() > 0) {
            boolean finite = Float.isFinite(question.largest) && Double.isFinite(question.sum);
            assertFalse(finite, what + ", " + question + ": sum " + question.sum + " at " + question.largest);
        }
        if (question.drawTemperature() > 0) {
            assertEquals(-1, question.drawn, what + ", " + question);
            assertTrue(Float.isNaN(question.drawnLogit), what + ", " + question);
        }
    }
}
