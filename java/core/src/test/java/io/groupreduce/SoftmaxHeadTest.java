package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
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

    private static Request[] requests() {
        Request[] requests = new Request[STATES];
        Arrays.setAll(requests, i -> Request.sample(SAMPLING, i));
        return requests;
    }

    @TempDir
    Path directory;

    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
    private final float[] values = HeadFixture.hidden(STATES);
    private final States hidden = States.of(values);

    private static HeadOptions reference() {
        return HeadOptions.defaults().withDevice(Device.REFERENCE);
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
            Answers ranked = head.topK(hidden, 4);
            double[] logSumExp = head.logSumExp(hidden);
            float[] scores = head.logProbabilities(hidden, greedy);
            for (int s = 0; s < STATES; s++) {
                double[] expected = HeadFixture.logits(matrix, null, values, s);
                double sum = 0;
                int best = 0;
                for (int i = 0; i < expected.length; i++) {
                    assertEquals(expected[i], logits[s * HeadFixture.ROWS + i], 1e-4);
                    sum += Math.exp(expected[i]);
                    best = expected[i] > expected[best] ? i : best;
                }
                assertEquals(best, greedy[s]);
                assertEquals(best, ranked.topToken(s, 0));
                assertEquals(expected[best], ranked.topLogit(s, 0), 1e-4);
                assertEquals(Math.log(sum), logSumExp[s], 1e-5);
                assertEquals(expected[best] - Math.log(sum), scores[s], 1e-4);
                assertEquals(scores[s], ranked.topLogProbability(s, 0), 1e-6);
                assertTrue(ranked.topLogit(s, 0) >= ranked.topLogit(s, 3));
            }
            Answers logitsOnly = Answers.of(STATES + 1);
            Request[] looks = new Request[STATES];
            Arrays.fill(looks, Request.look().top(4));
            head.answer(hidden, looks, logitsOnly);
            assertEquals(STATES, logitsOnly.rows());
            assertEquals(ranked.topToken(2, 3), logitsOnly.topToken(2, 3));
            assertFails(InvalidOptionException.class, () -> logitsOnly.topLogProbability(2, 3), "row 2");
            assertFails(InvalidOptionException.class, () -> logitsOnly.logSumExp(0), "row 0", "Request.probabilities");
            assertFails(InvalidOptionException.class, () -> logitsOnly.token(1), "row 1", "Request.greedy");
            assertThrows(IndexOutOfBoundsException.class, () -> logitsOnly.topToken(3, 0));
            assertThrows(IndexOutOfBoundsException.class, () -> logitsOnly.topToken(0, 4));
            assertFails(InvalidOptionException.class, () -> logitsOnly.scoreLogit(0, 0), "row 0", "Request.score");
            assertFails(
                    InvalidDataException.class,
                    () -> head.answer(States.of(new float[1]), looks, logitsOnly),
                    "1 numbers");
            assertEquals(0, logitsOnly.rows(), "old answers are not taken for new ones");
            head.answer(hidden, looks, logitsOnly);
            looks[1] = Request.greedy().accept(HeadFixture.ROWS);
            assertFails(InvalidDataException.class, () -> head.answer(hidden, looks, logitsOnly), "row 1");
            assertEquals(0, logitsOnly.rows(), "old answers are not taken for new ones");
            Request shared = Request.greedy();
            assertFails(
                    InvalidDataException.class, () -> head.sample(hidden, looks[0], shared, shared), "Rows 1 and 2");
            float[] some = head.logitsOf(hidden, 100, 3, 3);
            for (int i = 0; i < some.length; i++) {
                int token = i % 3 == 0 ? 100 : 3;
                assertEquals(logits[i / 3 * HeadFixture.ROWS + token], some[i], 1e-5);
            }
        }
    }

    @Test
    void statesAreReadWhereverTheyLie() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, HeadFixture.bias(), reference());
                Arena confined = Arena.ofConfined()) {
            double[] expected = head.logSumExp(hidden);
            int columns = HeadFixture.COLUMNS;
            float[] wide = new float[5 + STATES * (columns + 3)];
            MemorySegment odd = confined.allocate(4L * wide.length + 1).asSlice(1);
            MemorySegment half = confined.allocate(2L * wide.length + 1).asSlice(1);
            MemorySegment brain = confined.allocate(2L * wide.length + 1).asSlice(1);
            float[] halves = new float[values.length];
            float[] brains = new float[values.length];
            for (int i = 0; i < values.length; i++) {
                int at = 5 + i / columns * (columns + 3) + i % columns;
                wide[at] = values[i];
                odd.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * at, values[i]);
                half.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * at, Float.floatToFloat16(values[i]));
                brain.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * at, Bf16.round(values[i]));
                halves[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
                brains[i] = Bf16.widen(Bf16.round(values[i]));
            }
            int stride = columns + 3;
            assertArrayEquals(expected, head.logSumExp(States.of(wide).from(5).every(stride)));
            assertArrayEquals(
                    expected, head.logSumExp(States.of(odd, DType.F32).from(5).every(stride)));
            assertArrayEquals(
                    head.logSumExp(States.of(halves)),
                    head.logSumExp(
                            States.of(half, DType.F16).from(5).every(stride).first(STATES)));
            assertArrayEquals(
                    head.logSumExp(States.of(brains)),
                    head.logSumExp(States.of(brain, DType.BF16).from(5).every(stride)));
            assertArrayEquals(
                    Arrays.copyOfRange(expected, 1, 2),
                    head.logSumExp(hidden.from(columns).first(1)));
            assertArrayEquals(new double[] {expected[0], expected[2]}, head.logSumExp(hidden.every(2 * columns)));
        }
    }

    @Test
    void samplingAcceptsWhatItDraws() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, reference())) {
            Request[] requests = requests();
            Request[] again = requests();
            Answers answers = Answers.of(STATES);
            for (int step = 0; step < 20; step++) {
                head.answer(hidden, again, answers);
                int[] drawn = head.sample(hidden, requests);
                assertArrayEquals(answers.tokens(), drawn);
                for (int s = 0; s < STATES; s++) {
                    assertEquals(step + 1, requests[s].step());
                    again[s].accept(drawn[s]);
                }
            }
            assertEquals(20, again[1].copy().step());
        }
    }

    @Test
    void probabilitiesOfWhatIsLookedAtHaveItsTemperatureAndBans() {
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, reference())) {
            double[] logits = HeadFixture.logits(matrix, null, values, 0);
            double sum = 0;
            for (int i = 0; i < logits.length; i++) {
                sum += i == 3 || i == 70 ? 0 : Math.exp(logits[i] / 0.25);
            }
            Answers answers = Answers.of(1);
            Request look = Request.look()
                    .score(5, 70)
                    .top(HeadFixture.ROWS)
                    .ban(TokenSet.of(3, 70))
                    .temperature(0.25)
                    .probabilities(Probabilities.DRAWN);
            head.answer(hidden.first(1), new Request[] {look}, answers);
            assertEquals(Math.log(sum), answers.logSumExp(0), 1e-4);
            assertEquals(logits[5] / 0.25 - Math.log(sum), answers.scoreLogProbability(0, 0), 1e-4);
            assertEquals(Float.NEGATIVE_INFINITY, answers.scoreLogProbability(0, 1));
            assertEquals(logits[70], answers.scoreLogit(0, 1), 1e-4);
            assertEquals(HeadFixture.ROWS - 2, answers.top(0));
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
            assertFails(InvalidDataException.class, () -> head.greedy(States.of(wide)), "13 numbers", "of 12 numbers");
            assertFails(InvalidDataException.class, () -> head.topK(States.of(new float[0]), 1), "0 numbers");
            assertFails(
                    InvalidDataException.class,
                    () -> head.greedy(States.of(MemorySegment.ofArray(wide), DType.F32)),
                    "13 numbers");
            assertFails(
                    InvalidDataException.class,
                    () -> head.greedy(States.of(MemorySegment.ofArray(new byte[13]), DType.BF16)),
                    "13 bytes",
                    "BF16");
            assertFails(InvalidDataException.class, () -> head.greedy(hidden.every(11)), "stride of 11", "12");
            assertFails(InvalidDataException.class, () -> head.greedy(hidden.first(4)), "4 states", "36 numbers");
            assertFails(InvalidDataException.class, () -> head.greedy(hidden.from(1)), "35 numbers");
            assertFails(InvalidOptionException.class, () -> hidden.first(0), "is 0");
            assertFails(InvalidOptionException.class, () -> hidden.from(-1), "-1");
            assertFails(
                    InvalidOptionException.class,
                    () -> States.of(MemorySegment.ofArray(wide), DType.F64),
                    "F64",
                    "BF16");
            assertFails(
                    InvalidDataException.class,
                    () -> head.greedy(States.of(confined.allocate(0), DType.F32)),
                    "0 numbers");
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                float[] damaged = values.clone();
                damaged[2 * columns + 5] = bad;
                assertFails(
                        InvalidDataException.class, () -> head.greedy(States.of(damaged)), "state 2", bad, "index 5");
                assertFails(
                        InvalidDataException.class,
                        () -> head.logSumExp(States.of(MemorySegment.ofArray(damaged), DType.F32)),
                        "state 2",
                        bad,
                        "index 5");
            }
            for (int k : new int[] {0, -1, Integer.MIN_VALUE}) {
                assertFails(InvalidOptionException.class, () -> head.topK(hidden, k), "k is " + k);
            }
            assertEquals(HeadFixture.ROWS, head.topK(hidden, Integer.MAX_VALUE).top(1));
            assertFails(
                    InvalidDataException.class,
                    () -> head.answer(hidden, requests(), Answers.of(2)),
                    "2 rows",
                    "3 hidden states");
            assertFails(InvalidDataException.class, () -> head.sample(hidden), "0 requests", "3 hidden states");
            Request[] missing = requests();
            missing[1] = null;
            assertFails(InvalidDataException.class, () -> head.sample(hidden, missing), "Row 1");
            missing[1] = Request.greedy().allow(TokenSet.of());
            assertFails(InvalidDataException.class, () -> head.sample(hidden, missing), "row 1", "allows no token");
            for (Request beyond : List.of(
                    Request.greedy().score(HeadFixture.ROWS),
                    Request.greedy().bias(HeadFixture.ROWS, 1),
                    Request.greedy().accept(HeadFixture.ROWS),
                    Request.greedy().allow(TokenSet.of(1, HeadFixture.ROWS)))) {
                missing[1] = beyond;
                assertFails(InvalidDataException.class, () -> head.sample(hidden, missing), "row 1", "token 101");
            }
            assertFails(InvalidOptionException.class, () -> Answers.of(0), "0 rows");
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
                assertTold(() -> head.logSumExp(hidden));
                assertTold(() -> head.logitsOf(hidden, 1));
                assertTold(() -> head.sample(hidden, requests()));
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
            stub.token = -1;
            assertTold(() -> head.sample(hidden, requests()));
            assertTold(() -> head.greedy(hidden));
        }
    }

    @Test
    void noProbabilityIsAboveOne() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        try (SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults())) {
            stub.logit = 100;
            stub.sum = 1 - 1e-7;
            assertEquals(0, head.topK(hidden, 1).topLogProbability(0, 0));
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
