package io.groupreduce.testkit;

import static io.groupreduce.testkit.PlainQuestion.UNTOUCHED;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Holds the answers of a session against the reference's, and looks whether it writes beyond them. */
final class InferenceChecks {
    private static final int[] LISTS = {0, 1, 20, 64, Question.LONGEST_LIST};
    private static final double[] SUMS = {0, 1, 0.3, 3, 1e-6, 1e6};
    private static final double[] DRAWS = {0, 1, 0.3, 3, 1e-6, 1e6, 1e-320};

    private InferenceChecks() {}

    /** Checks each case and closes it. */
    static void forEach(List<InferenceCase> cases, Consumer<InferenceCase> check) {
        for (InferenceCase c : cases) {
            try (c) {
                check.accept(c);
            }
        }
    }

    /** The first hidden states of a case. */
    static int[] first(int states) {
        return IntStream.range(0, states).toArray();
    }

    /**
     * None to three questions about each state of a batch: in turn every combination of list, sum and draw, open to tokens of every kind.
     *
     * @param turn where to go on
     * @param tolerance of the sums of two questions in three; 0 for the others
     */
    static List<PlainQuestion> mixed(InferenceCase c, int states, int turn, double tolerance) {
        SplittableRandom random = new SplittableRandom(turn);
        List<PlainQuestion> questions = new ArrayList<>();
        int next = turn;
        long[] before = null;
        for (int s = 0; s < states; s++) {
            // A state in five has no question, where there are several.
            for (int more = states < 3 ? 1 + (turn + s) % 3 : (s + turn + 4) % 5; more > 0 && more < 4; more--) {
                OpenTokens kind = OpenTokens.values()[next % OpenTokens.values().length];
                // Now and then the bits are those of the question before, in the same array.
                long[] open = next % 9 == 8 ? before : kind.of(c, random);
                PlainQuestion question = of(c, s, open, next * 67, next % 3 == 0 ? 0 : tolerance);
                before = open;
                next++;
                if (question.asks()) {
                    questions.add(question);
                }
            }
        }
        return questions;
    }

    /** One of the combinations. */
    static PlainQuestion of(InferenceCase c, int state, long[] open, int turn, double tolerance) {
        PlainQuestion question = new PlainQuestion(state, open);
        long count =
                IntStream.range(0, c.matrix.rows()).filter(question::isOpen).count();
        return question.list((int) Math.min(count, LISTS[turn % LISTS.length]))
                .sum(SUMS[turn / LISTS.length % SUMS.length], tolerance)
                .draw(DRAWS[turn / (LISTS.length * SUMS.length) % DRAWS.length], turn * 0x9E3779B97F4A7C15L);
    }

    /** Asks about a batch of these hidden states of the case. */
    static void ask(
            InferenceCase c, InferenceSession session, int[] states, List<PlainQuestion> questions, Chosen chosen) {
        Question[] array = questions.toArray(new Question[questions.size() + 2]);
        session.answer(c.hidden(states), states.length, array, questions.size(), chosen);
    }

    /** Asks, and holds every answer against the reference's. */
    static void assertAnswers(
            InferenceCase c, InferenceSession session, int[] states, List<PlainQuestion> questions, String what) {
        ask(c, session, states, questions, null);
        for (PlainQuestion question : questions) {
            c.oracle().assertAnswer(states[question.state()], question, what + ", batch of " + states.length);
        }
    }

    /** Tokens of each state: none, one, hundreds with some of them twice, a few. With {@link PlainQuestion#UNTOUCHED} after the last. */
    static Chosen chosen(InferenceCase c, int states, int turn) {
        SplittableRandom random = new SplittableRandom(~turn);
        int[] from = new int[states + 3];
        List<Integer> tokens = new ArrayList<>();
        for (int s = 0; s < states; s++) {
            int count = new int[] {0, 1, 300, 3, 17}[(s + turn) % 5];
            for (int i = 0; i < count; i++) {
                tokens.add(
                        i % 7 == 6
                                ? tokens.get(tokens.size() - 3)
                                : i == 2 ? c.matrix.rows() - 1 : random.nextInt(c.matrix.rows()));
            }
            from[s + 1] = tokens.size();
        }
        from[states + 1] = -1;
        int[] array = new int[tokens.size() + 3];
        Arrays.fill(array, -1);
        for (int i = 0; i < tokens.size(); i++) {
            array[i] = tokens.get(i);
        }
        float[] logits = new float[array.length];
        Arrays.fill(logits, UNTOUCHED);
        return new Chosen(from, array, logits);
    }

    static void assertChosen(InferenceCase c, int[] states, Chosen chosen, String what) {
        for (int s = 0; s < states.length; s++) {
            for (int i = chosen.from()[s]; i < chosen.from()[s + 1]; i++) {
                c.oracle().assertLogit(states[s], chosen.tokens()[i], chosen.logits()[i], what + ", chosen");
            }
        }
        for (int i = chosen.from()[states.length]; i < chosen.logits().length; i++) {
            assertEquals(UNTOUCHED, chosen.logits()[i], c.at(what + ", chosen, beyond the end"));
        }
    }

    /** Into an array, and into a segment at an odd address. */
    static void assertLogits(InferenceCase c, InferenceSession session, int[] states) {
        int rows = c.matrix.rows();
        try (Arena arena = Arena.ofShared()) {
            long bytes = 4L * states.length * rows;
            MemorySegment odd = arena.allocate(bytes + 1, 4).asSlice(1, bytes);
            session.logits(c.hidden(states), states.length, odd);
            float[] array = new float[states.length * rows + 1];
            array[array.length - 1] = UNTOUCHED;
            session.logits(c.hidden(states), states.length, MemorySegment.ofArray(array));
            assertEquals(UNTOUCHED, array[array.length - 1], c.at("logits beyond the end"));
            String what = "all logits of " + states.length;
            for (int i = 0; i < array.length - 1; i++) {
                float written = odd.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                float wanted = c.oracle().logits(states[i / rows])[i % rows];
                double allowed = c.oracle().tolerances(states[i / rows])[i % rows];
                if (!(Math.abs(wanted - written) <= allowed && Math.abs(wanted - array[i]) <= allowed)) {
                    c.oracle().assertLogit(states[i / rows], i % rows, written, what);
                    c.oracle().assertLogit(states[i / rows], i % rows, array[i], what + " in an array");
                }
            }
        }
    }

    /** Every row, some of them twice. */
    static void assertRows(InferenceCase c, InferenceSession session) {
        int columns = c.matrix.columns();
        int rows = c.matrix.rows();
        int count = rows + rows / 8 + 1;
        int[] tokens = new int[count + 1];
        Arrays.setAll(tokens, i -> i < rows ? rows - 1 - i : i * 31 % rows);
        tokens[count] = -1;
        float[] expected = new float[(count + 1) * columns + 5];
        float[] actual = new float[expected.length];
        Arrays.fill(actual, UNTOUCHED);
        try (InferenceSession reference = c.reference()) {
            reference.rows(tokens, count, expected, 5);
            session.rows(tokens, count, actual, 5);
            float[] largest = new float[columns];
            for (int n = 0; n < count; n++) {
                c.magnitudes(tokens[n], largest);
                for (int j = 0; j < columns; j++) {
                    int at = 5 + n * columns + j;
                    double allowed = 0x1p-24 * (4 + Math.sqrt(columns)) * largest[j];
                    if (!(Math.abs((double) expected[at] - actual[at]) <= allowed)) {
                        String where = c.at("row of token " + tokens[n] + ", column " + j);
                        assertEquals(expected[at], actual[at], allowed, where);
                    }
                }
            }
        }
        assertEquals(UNTOUCHED, actual[4], c.at("rows before the offset"));
        assertEquals(UNTOUCHED, actual[5 + count * columns], c.at("rows beyond the end"));
    }

    /** Lists and draws are those of a session that leaves nothing out, bit by bit; sums are near the reference's. */
    static void assertPrunedAlike(
            InferenceCase c, InferenceSession plain, InferenceSession pruned, int[] states, List<PlainQuestion> asked) {
        List<PlainQuestion> expected = again(asked);
        ask(c, plain, states, expected, null);
        List<PlainQuestion> actual = again(asked);
        assertAnswers(c, pruned, states, actual, "pruned");
        for (int q = 0; q < asked.size(); q++) {
            expected.get(q).assertSameBitsButSum(actual.get(q), c.at("pruned, batch of " + states.length));
        }
    }

    static List<PlainQuestion> again(List<PlainQuestion> questions) {
        return questions.stream().map(PlainQuestion::again).toList();
    }
}
