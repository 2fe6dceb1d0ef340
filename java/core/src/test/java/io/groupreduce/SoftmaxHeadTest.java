package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class SoftmaxHeadTest {
    private static final int STATES = 3;
    private static final Sampling SAMPLING = Sampling.temperature(0.8).withTopK(20);

    @TempDir
    Path directory;

    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
    private final float[] hidden = HeadFixture.hidden(STATES);

    private static HeadOptions reference() {
        return HeadOptions.defaults().withDevice("reference");
    }

    @Test
    void answersComeFromTheLogitsOfTheMatrix() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, reference())) {
            assertEquals(HeadFixture.ROWS, head.vocabularySize());
            assertEquals(HeadFixture.COLUMNS, head.hiddenSize());
            assertEquals(HeadFixture.NAME, head.name());
            assertTrue(head.device().startsWith("reference: "), head.device());
            float[] logits = new float[STATES * HeadFixture.ROWS];
            head.logits(hidden, logits);
            int[] greedy = head.greedy(hidden);
            RankedTokens ranked = head.topK(hidden, 4);
            double[] logSumExp = head.logSumExp(hidden);
            float[] scores = head.logProbabilities(hidden, greedy);
            for (int s = 0; s < STATES; s++) {
                double[] expected = HeadFixture.logits(matrix, null, hidden, s);
                double sum = 0;
                int best = 0;
                for (int i = 0; i < expected.length; i++) {
                    assertEquals(expected[i], logits[s * HeadFixture.ROWS + i], 1e-4);
                    sum += Math.exp(expected[i]);
                    best = expected[i] > expected[best] ? i : best;
                }
                assertEquals(best, greedy[s]);
                assertEquals(best, ranked.token(s, 0));
                assertEquals(expected[best], ranked.logit(s, 0), 1e-4);
                assertEquals(Math.log(sum), logSumExp[s], 1e-5);
                assertEquals(expected[best] - Math.log(sum), scores[s], 1e-4);
                assertEquals(scores[s], ranked.logProbability(s, 0), 1e-6);
                assertTrue(ranked.logit(s, 0) >= ranked.logit(s, 3));
            }
            RankedTokens logitsOnly = head.topLogits(hidden, 4);
            assertArrayEquals(ranked.tokens(), logitsOnly.tokens());
            assertNull(logitsOnly.logProbabilities());
            assertTrue(Float.isNaN(logitsOnly.logProbability(2, 3)));
        }
    }

    @Test
    void segmentsAndGivenArraysAnswerAlike() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, HeadFixture.bias(), reference());
                Arena confined = Arena.ofConfined();
                Arena shared = Arena.ofShared()) {
            MemorySegment odd = confined.allocate(4L * hidden.length + 1).asSlice(1);
            MemorySegment.copy(hidden, 0, odd, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, hidden.length);
            for (MemorySegment segment : List.of(odd, MemorySegment.ofArray(hidden))) {
                int[] tokens = new int[STATES + 2];
                int[] given = new int[STATES];
                head.greedy(hidden, tokens);
                assertArrayEquals(head.greedy(hidden), head.greedy(segment));
                assertArrayEquals(head.greedy(hidden), Arrays.copyOf(tokens, STATES));
                head.greedy(segment, given);
                assertArrayEquals(head.greedy(hidden), given);
                assertEquals(0, tokens[STATES]);

                RankedTokens ranked = head.topK(hidden, 9);
                RankedTokens room = RankedTokens.of(STATES, 9);
                for (int round = 0; round < 3; round++) {
                    if (round == 0) {
                        head.top(hidden, room);
                    } else if (round == 1) {
                        head.top(segment, room);
                    } else {
                        room = head.topK(segment, 9);
                    }
                    assertArrayEquals(ranked.tokens(), room.tokens());
                    assertArrayEquals(ranked.logits(), room.logits());
                    assertArrayEquals(ranked.logProbabilities(), room.logProbabilities());
                    Arrays.fill(room.tokens(), -1);
                }
                assertArrayEquals(ranked.tokens(), head.topLogits(segment, 9).tokens());

                float[] scores = head.logProbabilities(hidden, given);
                float[] target = new float[STATES];
                assertArrayEquals(scores, head.logProbabilities(segment, given));
                head.logProbabilities(segment, given, target);
                assertArrayEquals(scores, target);
                Arrays.fill(target, 0);
                head.logProbabilities(hidden, given, target);
                assertArrayEquals(scores, target);

                int[] drawn = head.sample(hidden, SAMPLING, 5);
                assertArrayEquals(drawn, head.sample(segment, SAMPLING, 5));
                head.sample(segment, SAMPLING, 5, given);
                assertArrayEquals(drawn, given);
                Arrays.fill(given, -1);
                head.sample(hidden, SAMPLING, 5, given);
                assertArrayEquals(drawn, given);
                Sampling all = Sampling.temperature(0.8);
                assertArrayEquals(head.sample(hidden, all, 5), head.sample(hidden, all.withTopK(1 << 20), 5));

                double[] sums = head.logSumExp(hidden);
                double[] doubles = new double[STATES];
                assertArrayEquals(sums, head.logSumExp(segment));
                head.logSumExp(segment, doubles);
                assertArrayEquals(sums, doubles);
                Arrays.fill(doubles, 0);
                head.logSumExp(hidden, doubles);
                assertArrayEquals(sums, doubles);

                float[] logits = new float[STATES * HeadFixture.ROWS];
                float[] again = logits.clone();
                head.logits(hidden, logits);
                head.logits(segment, again);
                assertArrayEquals(logits, again);
                MemorySegment outside = shared.allocate(4L * logits.length);
                head.logits(hidden, outside);
                assertArrayEquals(logits, outside.toArray(ValueLayout.JAVA_FLOAT));
                outside.fill((byte) 0);
                head.logits(segment, outside);
                assertArrayEquals(logits, outside.toArray(ValueLayout.JAVA_FLOAT));
            }
        }
    }

    @Test
    void theBiasIsTheOptionsElseTheMatrixsElseTheModels() {
        float[] other = new float[HeadFixture.ROWS];
        other[11] = 500;
        float[] third = new float[HeadFixture.ROWS];
        third[13] = 500;
        CompressedMatrix biased = matrix.withBias(other);
        ReferenceBackend backend = new ReferenceBackend();
        try (SoftmaxHead models = SoftmaxHead.of(backend, matrix, HeadFixture.bias(), reference());
                SoftmaxHead own = SoftmaxHead.of(backend, biased, HeadFixture.bias(), reference());
                SoftmaxHead given =
                        SoftmaxHead.of(backend, biased, null, reference().withBias(third))) {
            assertEquals(7, models.greedy(hidden)[0]);
            assertEquals(11, own.greedy(hidden)[0]);
            assertEquals(13, given.greedy(hidden)[0]);
        }
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        try (SoftmaxHead copied = SoftmaxHead.open(file, reference());
                SoftmaxHead given = SoftmaxHead.open(file, backend, reference().withBias(third))) {
            assertEquals(7, copied.greedy(hidden)[0]);
            assertEquals(13, given.greedy(hidden)[0]);
        }
        Path stored = HeadFixture.write(directory.resolve("b.safetensors"), List.of(biased), List.of(), Map.of());
        try (SoftmaxHead head = SoftmaxHead.open(stored)) {
            assertEquals(11, head.greedy(hidden)[0]);
        }
    }

    @Test
    void badInputIsToldAndTheHeadStaysUsable() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, reference());
                Arena confined = Arena.ofConfined()) {
            int[] before = head.greedy(hidden);
            int columns = HeadFixture.COLUMNS;
            float[] wide = new float[columns + 1];
            assertFails(InvalidDataException.class, () -> head.greedy(wide), "13 numbers", "states of 12");
            assertFails(InvalidDataException.class, () -> head.topK(new float[0], 1), "0 numbers");
            assertFails(InvalidDataException.class, () -> head.greedy(MemorySegment.ofArray(wide)), "52 bytes");
            assertFails(InvalidDataException.class, () -> head.greedy(confined.allocate(0)), "0 bytes");
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                float[] damaged = hidden.clone();
                damaged[2 * columns + 5] = bad;
                assertFails(InvalidDataException.class, () -> head.greedy(damaged), "state 2", bad, "index 5");
                assertFails(
                        InvalidDataException.class,
                        () -> head.logSumExp(MemorySegment.ofArray(damaged)),
                        "state 2",
                        bad,
                        "index 5");
            }
            for (int k : new int[] {0, -1, HeadFixture.ROWS + 1, Integer.MAX_VALUE}) {
                assertFails(InvalidOptionException.class, () -> head.topK(hidden, k), "k is " + k, "1 and 101");
                assertFails(InvalidOptionException.class, () -> head.topLogits(hidden, k), "k is " + k);
            }
            RankedTokens tooMany = RankedTokens.of(STATES, HeadFixture.ROWS + 1);
            assertFails(InvalidOptionException.class, () -> head.top(hidden, tooMany), "k is 102");
            RankedTokens forTwo = RankedTokens.of(2, 3);
            assertFails(InvalidDataException.class, () -> head.top(hidden, forTwo), "2 hidden states", "3 were");
            for (int token : new int[] {-1, HeadFixture.ROWS, Integer.MIN_VALUE}) {
                int[] tokens = {1, token, 2};
                assertFails(
                        InvalidDataException.class,
                        () -> head.logProbabilities(hidden, tokens),
                        "index 1",
                        token,
                        "0 to 100");
            }
            assertFails(InvalidDataException.class, () -> head.logProbabilities(hidden, new int[2]), "2 tokens");
            assertFails(
                    InvalidDataException.class,
                    () -> head.logProbabilities(hidden, new int[3], new float[2]),
                    "2 log-probabilities");
            assertFails(InvalidDataException.class, () -> head.greedy(hidden, new int[2]), "2 tokens", "3 are");
            assertFails(InvalidDataException.class, () -> head.sample(hidden, SAMPLING, 1, new int[2]), "2 tokens");
            assertFails(InvalidDataException.class, () -> head.logSumExp(hidden, new double[2]), "2 log-sum-exps");
            assertFails(
                    InvalidDataException.class,
                    () -> head.logits(hidden, new float[3 * HeadFixture.ROWS - 1]),
                    "302 logits",
                    "303 are");
            long bytes = 4L * 3 * HeadFixture.ROWS;
            assertFails(InvalidDataException.class, () -> head.logits(hidden, confined.allocate(bytes)), "one thread");
            MemorySegment readOnly = Arena.ofAuto().allocate(bytes).asReadOnly();
            assertFails(InvalidDataException.class, () -> head.logits(hidden, readOnly), "read-only");
            assertArrayEquals(before, head.greedy(hidden));
        }
    }

    @Test
    void resultsThatAreNotFiniteAreTold() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        try (SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults())) {
            for (float logit : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                stub.logit = logit;
                assertTold(() -> head.greedy(hidden));
                assertTold(() -> head.topK(hidden, 2));
                assertTold(() -> head.topLogits(hidden, 2));
                assertTold(() -> head.logProbabilities(hidden, new int[STATES]));
            }
            assertTold(() -> {
                stub.logit = Float.NaN;
                head.logits(hidden, new float[STATES * HeadFixture.ROWS]);
            });
            stub.logit = 1;
            for (double sum : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
                stub.sum = sum;
                assertTold(() -> head.topK(hidden, 2));
                assertTold(() -> head.logSumExp(hidden));
                assertTold(() -> head.logProbabilities(hidden, new int[STATES]));
            }
            stub.sum = 3;
            for (int token : new int[] {-1, HeadFixture.ROWS}) {
                stub.token = token;
                assertTold(() -> head.sample(hidden, SAMPLING, 1));
                assertTold(() -> head.greedy(hidden));
                assertTold(() -> head.topLogits(hidden, 2));
            }
            stub.token = 1;
            stub.sum = 1e300;
            assertTold(() -> head.topK(hidden, 2));
            assertTold(() -> head.logProbabilities(hidden, new int[STATES]));
        }
    }

    @Test
    void noProbabilityIsAboveOne() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        try (SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults())) {
            stub.logit = 100;
            stub.sum = 100 - 1e-5;
            assertEquals(0, head.topK(hidden, 1).logProbability(0, 0));
            assertEquals(0, head.logProbabilities(hidden, new int[STATES])[0]);
        }
    }

    private static void assertTold(Executable query) {
        assertFails(InvalidDataException.class, query, "hidden state 0", HeadFixture.NAME, "not all finite");
    }

    /** Fails unless this type is thrown, with one line that ends as a sentence and names all of {@code parts}. */
    static void assertFails(Class<? extends GroupReduceException> type, Executable action, Object... parts) {
        String message = assertThrows(type, action).getMessage();
        assertTrue(message.endsWith(".") && message.lines().count() == 1 && message.length() < 400, message);
        for (Object part : parts) {
            assertTrue(message.contains(String.valueOf(part)), message + " does not say " + part);
        }
    }
}
