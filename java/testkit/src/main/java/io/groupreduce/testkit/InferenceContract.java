package io.groupreduce.testkit;

import static io.groupreduce.testkit.InferenceChecks.SAMPLINGS;
import static io.groupreduce.testkit.InferenceChecks.assertLogits;
import static io.groupreduce.testkit.InferenceChecks.assertPrunedAlike;
import static io.groupreduce.testkit.InferenceChecks.assertRows;
import static io.groupreduce.testkit.InferenceChecks.assertSame;
import static io.groupreduce.testkit.InferenceChecks.assertScores;
import static io.groupreduce.testkit.InferenceChecks.assertTop;
import static io.groupreduce.testkit.InferenceChecks.forEach;
import static io.groupreduce.testkit.InferenceChecks.sample;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.InferenceChecks.Top;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What every backend must answer about a compressed softmax, held against the reference: every layout of a file at ragged sizes,
 * batches around every block size, exact ties, extreme logits, every kind of pruning. With {@link InferenceEdges}, batches and lists
 * beyond what is taken at a time and files of other writers; with {@link HeadContract}, what a head on it must endure.
 */
public abstract class InferenceContract extends InferenceEdges {
    private static final int[] BATCHES = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 33, 64, InferenceCase.STATES};

    @Test
    void likeliestTokensMatchTheReference() {
        ask(InferenceCase.all(), (c, session, reference) -> {
            for (int states : BATCHES) {
                assertTop(c, session, states, 10, true);
                assertTop(c, session, states, 1, false);
            }
            for (int states : new int[] {1, 3, 17}) {
                assertTop(c, session, states, 0, true);
                assertTop(c, session, states, 1, true);
                assertTop(c, session, states, 2, false);
                assertTop(c, session, states, c.matrix.rows(), true);
            }
        });
    }

    @Test
    void tiesGoToTheLowerToken() {
        ask(
                List.of(
                        InferenceCase.random(21, Numbers.EXACT),
                        InferenceCase.random(22, Numbers.EXACT),
                        InferenceCase.everyLayout(23, true, Numbers.EXACT)),
                (c, session, reference) -> {
                    int rows = c.matrix.rows();
                    int ties = 0;
                    for (int k : new int[] {1, 2, 10, 100, rows}) {
                        Top expected = new Top(reference, c, 9, k, false);
                        Top actual = new Top(session, c, 9, k, false);
                        assertArrayEquals(expected.logits, actual.logits, c.at("logits of the top " + k));
                        assertArrayEquals(expected.tokens, actual.tokens, c.at("tokens of the top " + k));
                        for (int i = 1; i < 9 * k; i++) {
                            ties += k == 10 && expected.logits[i] == expected.logits[i - 1] ? 1 : 0;
                        }
                    }
                    assertTrue(ties > 0, c.at("a case without ties"));
                });
    }

    @Test
    void scoresMatchTheReference() {
        ask(InferenceCase.all(), (c, session, reference) -> {
            for (int states : BATCHES) {
                assertScores(c, session, states);
            }
        });
    }

    @Test
    @Tag("long")
    void samplesAreTheReferencesToken() {
        ask(InferenceCase.all(), (c, session, reference) -> {
            for (int n = 0; n < SAMPLINGS.size(); n++) {
                Sampling sampling = SAMPLINGS.get(n);
                if (sampling.topK() < c.matrix.rows()) {
                    int states = BATCHES[n % BATCHES.length];
                    for (long seed = 1; seed <= (emulated() ? 1 : states < 9 ? 12 : 2); seed++) {
                        int[] expected = sample(reference, c, states, sampling, seed);
                        int[] actual = sample(session, c, states, sampling, seed);
                        assertArrayEquals(expected, actual, c.at(sampling + ", seed " + seed + " in " + states));
                    }
                }
            }
        });
    }

    @Test
    void allLogitsMatchTheReference() {
        ask(InferenceCase.all(), (c, session, reference) -> {
            for (int states : new int[] {1, 2, 5, 17, InferenceCase.STATES}) {
                assertLogits(c, session, states);
            }
        });
    }

    @Test
    void rowsMatchTheReference() {
        ask(InferenceCase.all(), (c, session, reference) -> {
            assertRows(c, session);
        });
    }

    @Test
    void theNumberOfThreadsChangesNoBitOfAnAnswer() {
        forEach(List.of(InferenceCase.random(31, Numbers.SMOOTH), InferenceCase.steep(32, 1)), c -> {
            for (int states : new int[] {1, 3, 16, InferenceCase.STATES}) {
                assertThreadsChangeNoBit(c.at(states + " states"), (tested, arena) -> {
                    try (InferenceSession session = c.load(tested)) {
                        Top top = new Top(session, c, states, 10, true);
                        float[] logits = new float[states * c.matrix.rows()];
                        session.logits(c.hidden(states), states, MemorySegment.ofArray(logits));
                        int[] drawn = sample(session, c, states, Sampling.temperature(1), 5);
                        return List.of(top.tokens, top.logits, top.logSumExp, logits, drawn);
                    }
                });
            }
        });
    }

    @Test
    @Tag("long")
    void pruningChangesNoAnswer() {
        forEach(InferenceCase.forPruning(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession plain = c.load(tested);
                    InferenceSession always = tested.load(c.problem(Pruning.ALWAYS, 0));
                    InferenceSession auto = tested.load(c.problem(Pruning.AUTO, 0))) {
                List<InferenceSession> pruned = List.of(always, auto);
                for (int states : prunes() ? new int[] {1, 2, 4, 5, 16, InferenceCase.STATES} : new int[] {2, 16}) {
                    for (int k : prunes() ? new int[] {1, 2, 10, 300} : new int[] {1, 10}) {
                        assertPrunedAlike(c, plain, pruned, states, Math.min(k, c.matrix.rows()));
                    }
                    for (int n = 0; n < SAMPLINGS.size(); n += states < 5 && prunes() ? 1 : 5) {
                        Sampling sampling = SAMPLINGS.get(n);
                        int[] expected = sample(plain, c, states, sampling, states);
                        for (InferenceSession session : pruned) {
                            int[] actual = sample(session, c, states, sampling, states);
                            assertArrayEquals(expected, actual, c.at("pruned, " + states + ", " + sampling));
                        }
                    }
                }
            }
        });
    }

    @Test
    void aToleranceBoundsTheErrorOfTheLogSumExp() {
        forEach(InferenceCase.forPruning(), c -> {
            try (Backend tested = backend(2);
                    InferenceSession plain = c.load(tested)) {
                for (double tolerance : prunes() ? new double[] {1e-6, 1e-3, 0.1} : new double[] {1e-6}) {
                    for (Pruning pruning : new Pruning[] {Pruning.ALWAYS, Pruning.AUTO}) {
                        try (InferenceSession pruned = tested.load(c.problem(pruning, tolerance))) {
                            for (int states : prunes() ? new int[] {1, 4, 17, InferenceCase.STATES} : new int[] {17}) {
                                String what = pruning + " at " + tolerance + ", " + states;
                                int k = Math.min(10, c.matrix.rows());
                                Top top = new Top(pruned, c, states, k, true);
                                c.oracle().assertLogSumExp(states, top.logSumExp, tolerance, what);
                                assertSame(new Top(plain, c, states, k, true), top, c.at(what));
                                Top sums = new Top(pruned, c, states, 0, true);
                                c.oracle().assertLogSumExp(states, sums.logSumExp, tolerance, what);
                            }
                        }
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
                        try (Backend tested = backend(2);
                                InferenceSession session = tested.load(extreme.problem(pruning, 0))) {
                            for (int states : new int[] {1, 5, 17}) {
                                assertTop(extreme, session, states, 10, true);
                                assertTop(extreme, session, states, 1, false);
                                assertTop(extreme, session, states, 300, false);
                                assertArrayEquals(
                                        sample(extreme.reference(), extreme, states, SAMPLINGS.get(0), 3),
                                        sample(session, extreme, states, SAMPLINGS.get(0), 3),
                                        extreme.at("sampled, " + pruning));
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
                Backend tested = backend(2)) {
            InferenceSession session = c.load(tested);
            session.close();
            session.close();
        }
    }
}
