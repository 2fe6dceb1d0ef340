package io.groupreduce.testkit;

import static io.groupreduce.testkit.InferenceChecks.SAMPLINGS;
import static io.groupreduce.testkit.InferenceChecks.assertLogits;
import static io.groupreduce.testkit.InferenceChecks.assertPrunedAlike;
import static io.groupreduce.testkit.InferenceChecks.assertRows;
import static io.groupreduce.testkit.InferenceChecks.assertScores;
import static io.groupreduce.testkit.InferenceChecks.assertTop;
import static io.groupreduce.testkit.InferenceChecks.forEach;
import static io.groupreduce.testkit.InferenceChecks.sample;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.InferenceChecks.Top;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What a backend must answer where its way of working ends: batches and lists longer than it takes at a time, groups that end in the
 * middle of a byte, numbers that only other writers store. Not public: part of {@link InferenceContract}.
 */
abstract class InferenceEdges extends HeadContract {
    /** What is asked about one case, loaded without pruning. */
    interface Question {
        void ask(InferenceCase c, InferenceSession session, InferenceSession reference);
    }

    /** Loads each case on two threads of the backend under test and on the reference, and closes it. */
    final void ask(List<InferenceCase> cases, Question question) {
        forEach(cases, c -> {
            try (Backend tested = backend(2);
                    InferenceSession session = c.load(tested);
                    InferenceSession reference = c.reference()) {
                question.ask(c, session, reference);
            }
        });
    }

    @Test
    void batchesOfManyStatesMatchTheReference() {
        ask(List.of(InferenceCase.chunks(71)), (c, session, reference) -> {
            for (int states : new int[] {265, InferenceCase.MANY_STATES}) {
                assertTop(c, session, states, 10, true);
                assertTop(c, session, states, 1, false);
                assertTop(c, session, states, 0, true);
                assertTop(c, session, states, c.matrix.rows(), true);
                assertScores(c, session, states);
                assertLogits(c, session, states);
                for (Sampling sampling : SAMPLINGS) {
                    int[] expected = sample(reference, c, states, sampling, states);
                    int[] actual = sample(session, c, states, sampling, states);
                    assertArrayEquals(expected, actual, c.at(sampling + " in " + states));
                }
            }
        });
    }

    @Test
    void longListsMatchTheReference() {
        for (Numbers numbers : new Numbers[] {Numbers.SMOOTH, Numbers.EXACT}) {
            ask(List.of(InferenceCase.longLists(72, numbers)), (c, session, reference) -> {
                for (int k : new int[] {1023, 1024, 1025, 1100, c.matrix.rows()}) {
                    assertTop(c, session, 5, k, true);
                    assertTop(c, session, 5, k, false);
                    if (numbers == Numbers.EXACT) {
                        Top expected = new Top(reference, c, 5, k, true);
                        Top actual = new Top(session, c, 5, k, true);
                        InferenceChecks.assertSame(expected, actual, c.at("top " + k));
                    }
                }
            });
        }
    }

    @Test
    void numbersThatOnlyOtherWritersStoreAreRead() {
        try (InferenceCase c = InferenceCase.foreign(73);
                Backend tested = backend(2);
                InferenceSession plain = c.load(tested);
                InferenceSession always = tested.load(c.problem(Pruning.ALWAYS, 0))) {
            assertRows(c, plain);
            for (int states : new int[] {1, 2, 5, 17}) {
                assertLogits(c, plain, states);
                assertScores(c, plain, states);
                assertTop(c, plain, states, 10, true);
                assertPrunedAlike(c, plain, List.of(always), states, 10);
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
                    assertUndisturbed(c, c.states());
                    for (int state = 0; state < c.states(); state++) {
                        assertUndisturbed(c.only(state), 1);
                    }
                });
    }

    private void assertUndisturbed(InferenceCase c, int states) {
        try (Backend tested = backend(2);
                InferenceSession plain = c.load(tested);
                InferenceSession always = tested.load(c.problem(Pruning.ALWAYS, 0))) {
            assertLogits(c, plain, states);
            assertScores(c, plain, states);
            for (int k : new int[] {1, 10, 300}) {
                assertTop(c, plain, states, k, true);
                assertPrunedAlike(c, plain, List.of(always), states, k);
            }
            for (Sampling sampling : List.of(SAMPLINGS.get(0), SAMPLINGS.get(1))) {
                int[] expected = sample(plain, c, states, sampling, 7);
                assertArrayEquals(expected, sample(always, c, states, sampling, 7), c.at("pruned, " + sampling));
            }
        }
    }
}
