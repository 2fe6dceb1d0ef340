package io.groupreduce.testkit;

import static io.groupreduce.testkit.InferenceChecks.again;
import static io.groupreduce.testkit.InferenceChecks.assertAnswers;
import static io.groupreduce.testkit.InferenceChecks.assertChosen;
import static io.groupreduce.testkit.InferenceChecks.assertLogits;
import static io.groupreduce.testkit.InferenceChecks.assertPrunedAlike;
import static io.groupreduce.testkit.InferenceChecks.chosen;
import static io.groupreduce.testkit.InferenceChecks.first;
import static io.groupreduce.testkit.InferenceChecks.forEach;
import static io.groupreduce.testkit.InferenceChecks.mixed;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What every backend must answer about a compressed softmax, held against the reference: every layout of a file at ragged sizes, every kind of
 * question in batches around every block size, exact ties, extreme logits, every kind of pruning. With {@link InferenceEdges}, batches and lists
 * beyond what is taken at a time and files of other writers; with {@link RequestContract} and {@link HeadContract}, what a head on it must answer and endure.
 */
public abstract class InferenceContract extends InferenceEdges {
    private static final int[] BATCHES = {1, 2, 3, 4, 7, 16, 50};

    @Test
    void answersMatchTheReference() {
        int[] turn = {1};
        ask(InferenceCase.all(), (c, session) -> {
            for (int states : slow() ? new int[] {1, 3, 16} : BATCHES) {
                List<PlainQuestion> questions = mixed(c, states, turn[0], 0);
                turn[0] += questions.size() + 1;
                assertAnswers(c, session, first(states), questions, "mixed");
            }
        });
    }

    @Test
    void chosenTokensMatchTheReference() {
        ask(InferenceCase.all(), (c, session) -> {
            for (int states : slow() ? new int[] {1, 5} : new int[] {1, 3, 16}) {
                for (int turn = 0; turn < (states == 1 && !slow() ? 5 : 1); turn++) {
                    int[] batch = first(states);
                    Chosen alone = chosen(c, states, turn);
                    List<PlainQuestion> notAsked = mixed(c, states, turn, 0);
                    Question[] array = notAsked.toArray(Question[]::new);
                    session.answer(c.hidden(batch), states, array, 0, alone);
                    assertChosen(c, batch, alone, "alone");
                    notAsked.forEach(question -> question.assertAnsweredOnce(false, c.at("not asked")));
                    Chosen beside = chosen(c, states, turn);
                    List<PlainQuestion> asked = again(notAsked);
                    InferenceChecks.ask(c, session, batch, asked, beside);
                    assertChosen(c, batch, beside, "beside questions");
                    asked.forEach(question -> c.oracle().assertAnswer(question.state(), question, "beside chosen"));
                }
            }
            session.answer(c.hidden(first(2)), 2, new Question[0], 0, null);
        });
    }

    /** With integers every order of summation is exact, so lists are the reference's to the last bit. */
    @Test
    void tiesGoToTheLowerToken() {
        ask(
                List.of(
                        InferenceCase.random(21, Numbers.EXACT),
                        InferenceCase.random(22, Numbers.EXACT),
                        InferenceCase.everyLayout(23, true, Numbers.EXACT)),
                (c, session) -> {
                    List<PlainQuestion> questions = mixed(c, 9, 40, 0);
                    assertAnswers(c, session, first(9), questions, "ties");
                    int ties = 0;
                    for (PlainQuestion question : questions) {
                        float[] logits = c.oracle().logits(question.state());
                        int[] best = IntStream.range(0, logits.length)
                                .filter(question::isOpen)
                                .boxed()
                                .sorted(Comparator.comparing((Integer token) -> -logits[token]))
                                .limit(question.listed())
                                .mapToInt(Integer::intValue)
                                .toArray();
                        for (int i = 0; i < best.length; i++) {
                            String where = c.at("place " + i + ", " + question);
                            assertTrue(best[i] == question.tokens[i] && logits[best[i]] == question.logits[i], where);
                            ties += i > 0 && logits[best[i]] == logits[best[i - 1]] ? 1 : 0;
                        }
                    }
                    assertTrue(ties > 0, c.at("a case without ties"));
                });
    }

    @Test
    void allLogitsMatchTheReference() {
        ask(InferenceCase.all(), (c, session) -> {
            for (int states : slow() ? new int[] {1, 5} : new int[] {1, 2, 5, 17}) {
                assertLogits(c, session, first(states));
            }
        });
    }

    @Test
    void rowsMatchTheReference() {
        ask(InferenceCase.all(), InferenceChecks::assertRows);
    }

    @Test
    void capsHoldLogits() {
        for (double cap : slow() ? new double[] {2} : new double[] {0.01, 30}) {
            forEach(List.of(InferenceCase.random(24, Numbers.STEEP), InferenceCase.steep(25, 1)), plain -> {
                InferenceCase c = plain.capped(cap);
                for (Pruning pruning : prunes() ? Pruning.values() : new Pruning[] {Pruning.AUTO}) {
                    try (ComputeBackend tested = backend(2);
                            InferenceSession session = tested.load(c.problem(pruning))) {
                        for (int states : new int[] {1, 5, 16}) {
                            assertAnswers(c, session, first(states), mixed(c, states, states, 0), "capped");
                        }
                        Chosen few = chosen(c, 3, 1);
                        InferenceChecks.ask(c, session, first(3), List.of(), few);
                        assertChosen(c, first(3), few, "capped");
                        assertLogits(c, session, first(2));
                    }
                }
            });
        }
    }

    /** Not even of sums from which work is left out. */
    @Test
    void theNumberOfThreadsChangesNoBitOfAnAnswer() {
        forEach(List.of(InferenceCase.random(31, Numbers.SMOOTH), InferenceCase.steep(32, 1)), c -> {
            for (int states : slow() ? new int[] {5} : new int[] {1, 3, 16, 50}) {
                assertThreadsChangeNoBit(c, states, Pruning.OFF);
                if (prunes()) {
                    assertThreadsChangeNoBit(c, states, Pruning.ALWAYS);
                }
            }
        });
    }

    private void assertThreadsChangeNoBit(InferenceCase c, int states, Pruning pruning) {
        assertThreadsChangeNoBit(c.at(states + " states, pruning " + pruning), (tested, arena) -> {
            try (InferenceSession session = tested.load(c.problem(pruning))) {
                List<Object> made = new ArrayList<>();
                for (int turn : new int[] {3, 5}) {
                    List<PlainQuestion> questions = mixed(c, states, turn, 1e-3);
                    Chosen few = chosen(c, states, turn);
                    InferenceChecks.ask(c, session, first(states), questions, few);
                    for (PlainQuestion question : questions) {
                        c.oracle().assertAnswer(question.state(), question, "pruning " + pruning);
                        made.addAll(question.bits());
                    }
                    assertChosen(c, first(states), few, "pruning " + pruning);
                    made.add(few.logits());
                }
                float[] logits = new float[states * c.matrix.rows()];
                session.logits(c.hidden(first(states)), states, MemorySegment.ofArray(logits));
                made.add(logits);
                return made;
            }
        });
    }

    /** Neither its place, nor what is asked about others, nor what else is asked about the same state. */
    @Test
    void anAnswerDependsOnItsStateAndQuestionAlone() {
        ask(List.of(InferenceCase.random(33, Numbers.STEEP), InferenceCase.steep(34, 0)), (c, session) -> {
            for (int states : slow() ? new int[] {5} : new int[] {2, 5, 16}) {
                List<PlainQuestion> all = mixed(c, states, 7 * states, 0);
                assertAnswers(c, session, first(states), all, "together");
                for (PlainQuestion question : all) {
                    List<PlainQuestion> alone = List.of(question.again());
                    InferenceChecks.ask(c, session, first(states), alone, null);
                    question.assertSameBits(alone.get(0), c.at("alone in " + states));
                }
                int[] turned =
                        IntStream.range(0, states).map(s -> states - 1 - s).toArray();
                List<PlainQuestion> elsewhere = new ArrayList<>();
                for (int q = all.size() - 1; q >= 0; q--) {
                    elsewhere.add(all.get(q).again(states - 1 - all.get(q).state()));
                }
                assertAnswers(c, session, turned, elsewhere, "elsewhere");
            }
        });
    }

    /** Whatever they stand beside, equal states that are asked the same draw the same, or a token that ties with it. */
    @Test
    void equalStatesDrawEqualTokens() {
        ask(List.of(InferenceCase.random(35, Numbers.SMOOTH), InferenceCase.steep(36, 1)), (c, session) -> {
            for (int states : new int[] {3, 4, 7, 16}) {
                int[] same = new int[states];
                List<PlainQuestion> questions = new ArrayList<>();
                for (int s = 0; s < states; s++) {
                    questions.add(new PlainQuestion(s, null).draw(1, states));
                }
                assertAnswers(c, session, same, questions, "equal states");
                for (PlainQuestion question : questions) {
                    c.oracle()
                            .assertTied(
                                    0,
                                    question,
                                    questions.get(0).drawn,
                                    question.drawn,
                                    c.at(states + " equal states, " + question));
                }
            }
        });
    }

    @Test
    @Tag("long")
    void pruningChangesNoAnswer() {
        forEach(InferenceCase.forPruning(), c -> {
            try (ComputeBackend tested = backend(2);
                    InferenceSession plain = c.load(tested);
                    InferenceSession always = tested.load(c.problem(Pruning.ALWAYS));
                    InferenceSession auto = tested.load(c.problem(Pruning.AUTO))) {
                for (int states : prunes() ? new int[] {1, 2, 4, 16} : new int[] {2}) {
                    for (int turn = 0; turn < (states == 1 ? 12 : 2); turn++) {
                        List<PlainQuestion> questions = mixed(c, states, 11 * turn + states, 0);
                        assertPrunedAlike(c, plain, always, first(states), questions);
                        assertPrunedAlike(c, plain, auto, first(states), questions);
                    }
                }
            }
        });
    }

    @Test
    @Tag("long")
    void aToleranceBoundsTheErrorOfTheSum() {
        forEach(InferenceCase.forPruning(), c -> {
            try (ComputeBackend tested = backend(2);
                    InferenceSession plain = c.load(tested);
                    InferenceSession always = tested.load(c.problem(Pruning.ALWAYS));
                    InferenceSession auto = tested.load(c.problem(Pruning.AUTO))) {
                for (double tolerance : prunes() ? new double[] {1e-6, 1e-3, 0.1} : new double[] {1e-6}) {
                    for (int states : prunes() ? new int[] {1, 9} : new int[] {3}) {
                        List<PlainQuestion> questions = mixed(c, states, states, tolerance);
                        assertPrunedAlike(c, plain, always, first(states), questions);
                        assertPrunedAlike(c, plain, auto, first(states), questions);
                    }
                }
            }
        });
    }

    @Test
    void extremeLogitsGiveFiniteAnswers() {
        for (boolean steep : new boolean[] {false, true}) {
            try (InferenceCase c = steep ? InferenceCase.steep(41, 1) : InferenceCase.random(42, Numbers.SMOOTH)) {
                for (InferenceCase extreme : c.extremes()) {
                    for (Pruning pruning : prunes() ? Pruning.values() : new Pruning[] {Pruning.AUTO}) {
                        try (ComputeBackend tested = backend(2);
                                InferenceSession session = tested.load(extreme.problem(pruning))) {
                            for (int states : new int[] {1, 5}) {
                                List<PlainQuestion> questions = mixed(extreme, states, 8 + states, 0);
                                assertAnswers(extreme, session, first(states), questions, "extreme, " + pruning);
                            }
                        }
                    }
                }
            }
        }
    }

    @Test
    void aSessionMayBeClosedTwice() {
        try (InferenceCase c = InferenceCase.single();
                ComputeBackend tested = backend(2)) {
            InferenceSession session = c.load(tested);
            session.close();
            session.close();
        }
    }
}
