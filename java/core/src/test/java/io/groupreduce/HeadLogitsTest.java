package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.Logits;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a file says of the logits, in a head of it; and states and segments that no head takes. */
class HeadLogitsTest {
    private static final int STATES = 3;
    private static final int ROWS = HeadFixture.ROWS;
    private static final HeadOptions REFERENCE = HeadOptions.defaults().withDevice(Device.REFERENCE);
    private static final Sampling SAMPLING = Sampling.temperature(0.7);

    private static Request[] requests() {
        Request[] requests = new Request[STATES];
        Arrays.setAll(requests, i -> Request.sample(SAMPLING, i));
        return requests;
    }

    @TempDir
    private Path directory;

    private final float[] hidden = HeadFixture.hidden(STATES);

    private Path file(double scale, double cap, String unknown) {
        return HeadFixture.write(directory.resolve("a.safetensors"), new Logits(scale, "lm_head.bias", cap, unknown));
    }

    /** The factor is in the logits, but not in the bias. */
    private static double logit(double scale, int state, int token, float[] hidden) {
        CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
        return scale * HeadFixture.logits(matrix, null, hidden, state)[token] + HeadFixture.bias()[token];
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.125, 3.5})
    void aFactorOfTheFileIsInEveryAnswer(double scale) {
        float[] asked = hidden.clone();
        try (SoftmaxHead head = SoftmaxHead.open(file(scale, 0, null), REFERENCE);
                SoftmaxHead plain = SoftmaxHead.open(file(1, 0, null), REFERENCE);
                SoftmaxHead given = SoftmaxHead.open(file(7, 0, null), REFERENCE.withLogitScale(scale))) {
            float[] scaled = hidden.clone();
            for (int i = 0; i < scaled.length; i++) {
                scaled[i] *= (float) scale;
            }
            float[] logits = new float[STATES * ROWS];
            head.logits(States.of(asked), logits);
            for (int i = 0; i < logits.length; i++) {
                assertEquals(logit(scale, i / ROWS, i % ROWS, hidden), logits[i], 1e-4);
            }
            States same = States.of(scaled);
            States mine = States.of(asked);
            assertArrayEquals(plain.logSumExp(same), head.logSumExp(mine));
            assertArrayEquals(plain.logSumExp(same), given.logSumExp(mine));
            assertArrayEquals(plain.greedy(same), head.greedy(mine));
            assertEquals(
                    plain.topK(same, 5).topLogProbability(2, 4),
                    head.topK(mine, 5).topLogProbability(2, 4));
            assertArrayEquals(plain.sample(same, requests()), head.sample(mine, requests()));
            int[] tokens = {1, 2, 3};
            assertArrayEquals(plain.logProbabilities(same, tokens), head.logProbabilities(mine, tokens));
            assertArrayEquals(plain.logitsOf(same, tokens), head.logitsOf(mine, tokens));
            assertArrayEquals(hidden, asked, "the caller's states are not changed");
        }
    }

    @Test
    void aSoftCapIsInEveryAnswer() {
        double cap = 4;
        States states = States.of(hidden);
        try (SoftmaxHead head = SoftmaxHead.open(file(1, cap, null), REFERENCE);
                SoftmaxHead plain = SoftmaxHead.open(file(1, 0, null), REFERENCE);
                SoftmaxHead without = SoftmaxHead.open(file(1, cap, null), REFERENCE.withLogitScale(1))) {
            assertArrayEquals(plain.greedy(states), head.greedy(states));
            Answers ranked = head.topK(states, 9);
            Answers uncapped = plain.topK(states, 9);
            float[] logits = new float[STATES * ROWS];
            head.logits(states, logits);
            for (int s = 0; s < STATES; s++) {
                double sum = 0;
                for (int i = 0; i < ROWS; i++) {
                    double expected = cap * Math.tanh(logit(1, s, i, hidden) / cap);
                    assertEquals(expected, logits[s * ROWS + i], 1e-4);
                    sum += Math.exp(expected);
                }
                assertEquals(Math.log(sum), ranked.logSumExp(s), 1e-5);
                for (int i = 0; i < 9; i++) {
                    assertEquals(uncapped.topToken(s, i), ranked.topToken(s, i));
                    double expected = cap * Math.tanh(uncapped.topLogit(s, i) / cap);
                    assertEquals(expected, ranked.topLogit(s, i), 1e-5);
                    assertEquals(expected - Math.log(sum), ranked.topLogProbability(s, i), 1e-4);
                }
            }
            assertArrayEquals(plain.logSumExp(states), without.logSumExp(states));
        }
    }

    @Test
    void whatTheFileDoesNotKnowIsRefusedUnlessTheCallerKnows() {
        Path file = file(1, 0, "rows are normalised");
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.open(file, REFERENCE),
                file,
                "rows are normalised",
                "withLogitScale");
        try (SoftmaxHead head = SoftmaxHead.open(file, REFERENCE.withLogitScale(2));
                EmbeddingTable table = EmbeddingTable.open(file, REFERENCE)) {
            float[] logits = new float[STATES * ROWS];
            head.logits(States.of(hidden), logits);
            assertEquals(logit(2, 0, 5, hidden), logits[5], 1e-4);
            assertEquals(HeadFixture.COLUMNS, table.rows(new int[1]).length);
        }
        for (double factor : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertFails(InvalidOptionException.class, () -> REFERENCE.withLogitScale(factor), factor);
        }
    }

    @Test
    void segmentsThatMayNotBeUsedAreTold() throws InterruptedException {
        CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
        Arena closed = Arena.ofShared();
        MemorySegment states = closed.allocate(4L * hidden.length);
        MemorySegment room = closed.allocate(4L * STATES * ROWS);
        closed.close();
        AtomicReference<MemorySegment> foreign = new AtomicReference<>();
        Thread other = new Thread(() -> foreign.set(Arena.ofConfined().allocate(4L * STATES * ROWS)));
        other.start();
        other.join();
        MemorySegment theirs = foreign.get().asSlice(0, 4L * hidden.length);
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, REFERENCE);
                EmbeddingTable table = EmbeddingTable.of(new ReferenceBackend(), matrix)) {
            States good = States.of(hidden);
            assertFails(
                    InvalidDataException.class,
                    () -> head.greedy(States.of(states, DType.F32)),
                    "hidden states",
                    "closed");
            assertFails(InvalidDataException.class, () -> head.logits(good, room), "logits", "closed");
            assertFails(InvalidDataException.class, () -> table.rows(new int[1], room), "rows", "closed");
            assertFails(
                    InvalidDataException.class,
                    () -> head.logSumExp(States.of(theirs, DType.BF16)),
                    "hidden states",
                    "another thread");
            assertFails(InvalidDataException.class, () -> head.logits(good, foreign.get()), "logits", "another thread");
            assertFails(InvalidDataException.class, () -> table.rows(new int[1], theirs), "rows", "another thread");
            assertEquals(STATES, head.greedy(good).length);
        }
    }

    @Test
    void aMatrixInAClosedArenaIsTold() {
        Arena arena = Arena.ofShared();
        CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1, arena);
        arena.close();
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.of(new ReferenceBackend(), matrix, null, REFERENCE),
                HeadFixture.NAME,
                "closed");
    }

    /** Finite factors whose rows are not. */
    @ParameterizedTest
    @ValueSource(floats = {1e25f, 3e38f})
    void rowsThatLeaveBinary32AreRefusedOnOpening(float number) {
        int columns = HeadFixture.COLUMNS;
        Arena arena = Arena.ofAuto();
        float[] row = new float[columns];
        row[1] = number;
        row[2] = -number;
        EncodedMatrix left = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, columns), ROWS, columns);
        EncodedMatrix right = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, columns), columns, columns);
        for (int i = 0; i < columns; i++) {
            left.encodeRow(i, row, 0);
            right.encodeRow(i, row, 0);
        }
        CompressedMatrix matrix = new CompressedMatrix(
                HeadFixture.NAME,
                columns,
                new byte[ROWS],
                List.of(GroupPlan.of(0, columns, Codec.F32)),
                List.of(left),
                List.of(right));
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.of(new ReferenceBackend(), matrix, null, REFERENCE),
                "group 0 of 'lm_head.weight'",
                "leave binary32",
                "compress the model again");
    }

    @Test
    void statesSoLargeThatLogitsMayOverflowAreToldByEveryQuery() {
        CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
        float[] large = hidden.clone();
        large[2 * HeadFixture.COLUMNS + 4] = -3e38f;
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, REFERENCE)) {
            States states = States.of(large);
            for (Runnable query : List.<Runnable>of(
                    () -> head.greedy(states),
                    () -> head.topK(states, 2),
                    () -> head.logProbabilities(states, new int[STATES]),
                    () -> head.logSumExp(States.of(MemorySegment.ofArray(large), DType.F32)),
                    () -> head.logits(states, new float[STATES * ROWS]),
                    () -> head.logitsOf(states, 1),
                    () -> head.sample(states, requests()))) {
                assertFails(
                        InvalidDataException.class,
                        query::run,
                        "hidden state 2",
                        "-3.0E38 at index 4",
                        "numbers up to");
            }
        }
    }
}
