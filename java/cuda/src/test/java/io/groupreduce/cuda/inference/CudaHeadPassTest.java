package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.Pruning;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.PlainQuestion;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Small batches, which are launched one by one at first and as a graph when they come again. */
@Tag("gpu")
class CudaHeadPassTest {
    private final Arena arena = Arena.ofShared();
    private final CompressedMatrix matrix = TestHeads.small(arena, 9);
    private final InferenceProblem problem = new InferenceProblem(matrix, null, 0, Pruning.OFF);

    @AfterEach
    void nothingIsLeft() {
        arena.close();
        TestDevice.assertNothingLeaked();
    }

    private PlainQuestion[] top(InferenceSession session, int states, int k, int seed) {
        float[] hidden = TestHeads.hidden(states, matrix.columns(), seed);
        PlainQuestion[] questions = new PlainQuestion[states];
        for (int s = 0; s < states; s++) {
            questions[s] = new PlainQuestion(s, null).list(k).sum(1, 0);
        }
        session.answer(hidden, states, questions, states, null);
        return questions;
    }

    private static void assertSame(PlainQuestion[] expected, PlainQuestion[] actual, String what) {
        for (int s = 0; s < expected.length; s++) {
            expected[s].assertSameBits(actual[s], what);
        }
    }

    private void assertAsTheFirst(InferenceSession session, int states, int k, int seed) {
        PlainQuestion[] expected;
        try (InferenceSession other = new CudaInference(TestDevice.open(), problem)) {
            expected = top(other, states, k, seed);
        }
        assertSame(expected, top(session, states, k, seed), states + " states, top " + k + ", hidden states " + seed);
    }

    @Test
    void answersAreTheSameBitsBeforeAtAndAfterRecording() {
        try (InferenceSession session = new CudaInference(TestDevice.open(), problem)) {
            int seed = 0;
            for (int round = 0; round < 4; round++) {
                for (int states : new int[] {8, 1, 3}) {
                    assertAsTheFirst(session, states, 1, seed++);
                    assertAsTheFirst(session, states, 2, seed++);
                }
            }
        }
    }

    @Test
    void moreShapesThanGraphsAreAnswered() {
        try (InferenceSession session = new CudaInference(TestDevice.open(), problem)) {
            // Each twice in a row, so that it is recorded; in the second round the first come again.
            for (int round = 0; round < 2; round++) {
                for (int k = 70; k > 0; k--) {
                    assertSame(top(session, 1, k, k), top(session, 1, k, k), "top " + k);
                }
            }
            PlainQuestion most = top(session, 1, 70, 99)[0];
            PlainQuestion one = top(session, 1, 1, 99)[0];
            assertEquals(most.listTokens()[0], one.listTokens()[0]);
        }
    }
}
