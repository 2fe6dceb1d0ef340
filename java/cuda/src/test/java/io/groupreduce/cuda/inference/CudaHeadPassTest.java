package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.Pruning;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Small batches, which are launched one by one at first and as a graph when they come again. */
@Tag("gpu")
class CudaHeadPassTest {
    private final Arena arena = Arena.ofShared();
    private final CompressedMatrix matrix = TestHeads.small(arena, 9);
    private final InferenceProblem problem = new InferenceProblem(matrix, null, Pruning.OFF, 0);

    @AfterEach
    void nothingIsLeft() {
        arena.close();
        TestDevice.assertNothingLeaked();
    }

    private record Answer(int[] tokens, float[] logits, double[] logSumExp) {}

    private Answer top(InferenceSession session, int states, int k, int seed) {
        float[] hidden = new float[states * matrix.columns()];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) random.nextGaussian() / 4;
        }
        Answer answer = new Answer(new int[states * k], new float[states * k], new double[states]);
        session.top(hidden, states, k, answer.tokens, answer.logits, answer.logSumExp);
        return answer;
    }

    private void assertAsTheFirst(InferenceSession session, int states, int k, int seed) {
        Answer expected;
        try (InferenceSession other = new CudaInference(TestDevice.open(), problem)) {
            expected = top(other, states, k, seed);
        }
        Answer actual = top(session, states, k, seed);
        String what = states + " states, top " + k + ", hidden states " + seed;
        assertArrayEquals(expected.tokens, actual.tokens, what);
        assertArrayEquals(expected.logits, actual.logits, what);
        assertArrayEquals(expected.logSumExp, actual.logSumExp, what);
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
                    Answer first = top(session, 1, k, k);
                    Answer second = top(session, 1, k, k);
                    assertArrayEquals(first.tokens, second.tokens, "top " + k);
                    assertArrayEquals(first.logits, second.logits, "top " + k);
                }
            }
            Answer most = top(session, 1, 70, 99);
            Answer one = top(session, 1, 1, 99);
            assertEquals(most.tokens[0], one.tokens[0]);
        }
    }
}
