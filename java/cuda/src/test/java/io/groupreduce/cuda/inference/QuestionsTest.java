package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.Pruning;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.testkit.PlainQuestion;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Questions of every kind together in one call, against the reference. */
@Tag("gpu")
class QuestionsTest {
    private static final int VOCABULARY = 1500;
    private static final double[] TEMPERATURES = {1, 0, 1e-5, 1e-320, 1e300, 2, 0.3};
    /** Held within these bounds. */
    private static final double[] SUMS = {0, 1, 1e-30, 2, 1e30, 0.3};

    private static final int[] LISTS = {0, 1, 2, 50, 1024, 10};

    private final SplittableRandom random = new SplittableRandom(11);

    /**
     * The matrix is zero and its bias is the logits, so that both see the same numbers and every token must be the same; the vocabulary is
     * longer than any list.
     */
    @Test
    void answersAreTheReferences() {
        assertAlike("flat", token -> 0);
        assertAlike("smooth", token -> random.nextGaussian());
        assertAlike("steep", token -> 5 * random.nextGaussian());
        assertAlike("with ties", token -> Math.rint(2 * random.nextGaussian()));
        assertAlike("large", token -> 3e7 + random.nextInt(4) * 2);
        assertAlike("far below zero", token -> -1e30);
        assertAlike("nearly all ruled out", token -> token % 97 == 5 ? token % 2 : -1e30);
    }

    private void assertAlike(String label, IntToDoubleFunction logit) {
        float[] bias = new float[VOCABULARY];
        for (int token = 0; token < VOCABULARY; token++) {
            bias[token] = (float) logit.applyAsDouble(token);
        }
        CompressedMatrix zeros = new TestHeads(4).zero(VOCABULARY).build("zeros");
        InferenceProblem problem = new InferenceProblem(zeros, bias, 0, Pruning.OFF);
        int states = 3;
        PlainQuestion[] asked = questions(states, 12, VOCABULARY);
        PlainQuestion[] again = again(asked);
        Chosen chosen = chosen(states, VOCABULARY);
        Chosen sameChosen = new Chosen(chosen.from(), chosen.tokens(), new float[chosen.logits().length]);
        try (ComputeBackend backend = new ReferenceBackend();
                InferenceSession reference = backend.load(problem);
                InferenceSession session = new CudaInference(TestDevice.open(), problem)) {
            reference.answer(new float[states * 4], states, asked, asked.length - 1, chosen);
            session.answer(new float[states * 4], states, again, again.length - 1, sameChosen);
        }
        for (int q = 0; q < asked.length; q++) {
            PlainQuestion expected = asked[q];
            PlainQuestion actual = again[q];
            String what = label + ": " + expected;
            assertEquals(expected.sum(), actual.sum(), 1e-6 * Math.abs(expected.sum()), what);
            assertEquals(expected.largest(), actual.largest(), what);
            expected.assertSameBitsButSum(actual, label);
        }
        assertArrayEquals(chosen.logits(), sameChosen.logits(), label);
        TestDevice.assertNothingLeaked();
    }

    /** Several about each state but the second, each with its own wishes. */
    private PlainQuestion[] questions(int states, int each, int vocabulary) {
        List<PlainQuestion> questions = new ArrayList<>();
        long[] half = set(vocabulary, 2);
        long[] few = set(vocabulary, 100);
        for (int state = 0; state < states; state++) {
            for (int i = 0; i < each && state != 1; i++) {
                int number = questions.size();
                long[] open =
                        number % 4 == 1 ? half : number % 4 == 2 ? few : number % 4 == 3 ? set(vocabulary, 7) : null;
                int most = open == null
                        ? vocabulary
                        : Arrays.stream(open).mapToInt(Long::bitCount).sum();
                questions.add(new PlainQuestion(state, open)
                        .list(Math.min(most, LISTS[number % LISTS.length]))
                        .sum(SUMS[number % SUMS.length], 0)
                        .draw(TEMPERATURES[number % TEMPERATURES.length], GumbelNoise.key(7, number)));
            }
        }
        return questions.toArray(PlainQuestion[]::new);
    }

    private static PlainQuestion[] again(PlainQuestion[] questions) {
        return Arrays.stream(questions).map(PlainQuestion::again).toArray(PlainQuestion[]::new);
    }

    /** A bit for one token of so many, and the last. */
    private long[] set(int vocabulary, int oneOf) {
        long[] set = new long[vocabulary / 64 + 2];
        for (int token = 0; token < vocabulary; token++) {
            set[token >> 6] |= random.nextInt(oneOf) == 0 || token == vocabulary - 1 ? 1L << token : 0;
        }
        return set;
    }

    /** Some tokens of each state but the first and the last. */
    private Chosen chosen(int states, int vocabulary) {
        int[] from = new int[states + 1];
        for (int s = 0; s < states; s++) {
            from[s + 1] = from[s] + (s == 0 || s == states - 1 ? 0 : 3 + 40 * (s % 3));
        }
        int[] tokens = random.ints(from[states], 0, vocabulary).toArray();
        return new Chosen(from, tokens, new float[tokens.length]);
    }

    /** Chosen tokens and answers do not depend on what else is asked, and large batches come in several rounds. */
    @Test
    void answersStandAlone() {
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix matrix = TestHeads.small(arena, 5);
            InferenceProblem problem = new InferenceProblem(matrix, null, 3, Pruning.OFF);
            int states = 130;
            float[] hidden = TestHeads.hidden(states, matrix.columns(), 3);
            PlainQuestion[] together = questions(states, 5, matrix.rows());
            PlainQuestion[] alone = again(together);
            Chosen chosen = chosen(states, matrix.rows());
            try (InferenceSession session = new CudaInference(TestDevice.open(), problem)) {
                session.answer(hidden, states, together, together.length, chosen);
                for (int q = 0; q < alone.length; q += 13) {
                    session.answer(hidden, states, new Question[] {alone[q]}, 1, null);
                    together[q].assertSameBits(alone[q], "alone");
                }
                Chosen again = new Chosen(chosen.from(), chosen.tokens(), new float[chosen.logits().length]);
                session.answer(hidden, states, new Question[0], 0, again);
                assertArrayEquals(chosen.logits(), again.logits());
                float[] all = new float[states * matrix.rows()];
                session.logits(hidden, states, MemorySegment.ofArray(all));
                for (int s = 0; s < states; s++) {
                    for (int i = chosen.from()[s]; i < chosen.from()[s + 1]; i++) {
                        assertEquals(all[s * matrix.rows() + chosen.tokens()[i]], chosen.logits()[i], "state " + s);
                    }
                }
            }
        }
        TestDevice.assertNothingLeaked();
    }
}
