package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.compress.Calibration;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the calibration of every backend must do, held against {@link ReferenceBackend}. Messages carry the seed. */
public abstract class CalibrationContract extends Contract {
    private static final long[] SEEDS = {1, 2, 3, 4};
    private static final double RATE = 0.005;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** What is asked about one case; what {@code arena} gives is freed afterwards. */
    private interface Question {
        void ask(CalibrationCase c, ComputeBackend tested, Arena arena);
    }

    /** Asks two threads of the backend under test about a case, of all codecs where {@code only} is {@code null}. */
    private void ask(Codec only, long seed, Question question) {
        try (Arena arena = Arena.ofShared();
                ComputeBackend tested = backend(2)) {
            question.ask(new CalibrationCase(arena, seed, only), tested, arena);
        }
    }

    private void askAll(Codec only, Question question) {
        for (long seed : SEEDS) {
            ask(only, seed, question);
        }
    }

    private static CalibrationSession reference(CalibrationProblem problem) {
        return new ReferenceBackend().calibrate(problem);
    }

    @Test
    void lossesMatchTheReference() {
        askAll(null, (c, tested, arena) -> {
            for (int count : new int[] {1, 37, 130}) {
                float[] hidden = c.hidden(count, count);
                try (CalibrationSession mine = tested.calibrate(c.problem(true));
                        CalibrationSession reference = reference(c.problem(true))) {
                    double expected = reference.loss(hidden, count);
                    // A single state may happen to have next to no loss.
                    double tolerance = 1e-4 * expected + 1e-6;
                    assertTrue(count == 1 || expected > 0.1, c.at("a loss worth comparing, " + expected));
                    assertEquals(expected, mine.loss(hidden, count), tolerance, c.at("loss"));
                    assertEquals(expected, mine.step(hidden, count, RATE), tolerance, c.at("loss of a step"));
                }
            }
        });
    }

    @Test
    void lossesOverManyStatesAreMeansOverTheirParts() {
        ask(Codec.INT4, 5, (c, tested, arena) -> {
            int count = 2500;
            float[] hidden = c.hidden(1, count);
            try (CalibrationSession session = tested.calibrate(c.problem(false))) {
                double total = 0;
                for (int t = 0; t < count; t += 500) {
                    float[] part = Arrays.copyOfRange(hidden, t * c.columns, (t + 500) * c.columns);
                    total += session.loss(part, 500) / 5;
                }
                assertEquals(total, session.loss(hidden, count), 1e-6 * total, c.at("loss"));
            }
        });
    }

    @Test
    void stepsFollowTheReference() {
        askAll(null, (c, tested, arena) -> {
            float[] held = c.hidden(50, 64);
            for (boolean trainBias : new boolean[] {false, true}) {
                try (CalibrationSession mine = tested.calibrate(c.problem(trainBias));
                        CalibrationSession reference = reference(c.problem(trainBias))) {
                    double before = reference.loss(held, 64);
                    for (int step = 0; step < 5; step++) {
                        float[] hidden = c.hidden(step, 70);
                        reference.step(hidden, 70, 4 * RATE);
                        mine.step(hidden, 70, 4 * RATE);
                    }
                    double expected = reference.loss(held, 64);
                    double actual = mine.loss(held, 64);
                    String what = c.at("loss " + before + " after 5 steps, bias trained: " + trainBias);
                    assertTrue(expected < 0.95 * before, what + ", moved to " + expected);
                    assertEquals(expected, actual, 0.002 * expected, what);
                }
            }
        });
    }

    @Test
    void theFirstStepGoesAgainstTheGradient() {
        askAll(Codec.F32, (c, tested, arena) -> {
            float[] hidden = c.hidden(1, 9);
            try (CalibrationSession session = tested.calibrate(c.problem(false))) {
                session.step(hidden, 9, RATE);
                CompressedMatrix moved = session.snapshot(arena);
                int checked = 0;
                for (int g = 0; g < 5; g++) {
                    checked += againstTheGradient(c, hidden, c.start.left(g), moved.left(g), "left " + g);
                }
                for (int b = 0; b < c.start.bases(); b++) {
                    checked += againstTheGradient(c, hidden, c.start.right(b), moved.right(b), "right " + b);
                }
                assertTrue(checked > 100, c.at(checked + " large derivatives"));
            }
        });
    }

    /**
     * Compares the move of every number of a part, whose first step of Adam has a known length, with the numerical derivative of
     * the reference's loss, and returns how many derivatives were large enough to compare.
     */
    private static int againstTheGradient(
            CalibrationCase c, float[] hidden, EncodedMatrix start, EncodedMatrix moved, String part) {
        int width = start.width();
        int numbers = (int) start.rows() * width;
        double[] derivative = new double[numbers];
        double largest = 0;
        for (int n = 0; n < numbers; n++) {
            float value = start.data().getAtIndex(F32, n);
            derivative[n] =
                    (lossWith(c, hidden, start, n, value + 0.01f) - lossWith(c, hidden, start, n, value - 0.01f))
                            / 0.02;
            start.data().setAtIndex(F32, n, value);
            largest = Math.max(largest, Math.abs(derivative[n]));
        }
        int checked = 0;
        float[] row = new float[width];
        for (int n = 0; n < numbers; n++) {
            if (Math.abs(derivative[n]) > 0.05 * largest) {
                start.decodeRow(n / width, row, 0);
                double squares = 0;
                for (float value : row) {
                    squares += (double) value * value;
                }
                double length = RATE * Math.sqrt(squares / width);
                double move = moved.data().getAtIndex(F32, n) - start.data().getAtIndex(F32, n);
                String what = c.at("number " + n + " of " + part + ", derivative " + derivative[n]);
                assertEquals(-Math.signum(derivative[n]) * length, move, 0.01 * length, what);
                checked++;
            }
        }
        return checked;
    }

    /** Leaves {@code value} as number {@code n}. The right factors are decoded anew. */
    private static double lossWith(CalibrationCase c, float[] hidden, EncodedMatrix part, int n, float value) {
        part.data().setAtIndex(F32, n, value);
        try (Arena arena = Arena.ofShared();
                CalibrationSession session =
                        reference(new CalibrationProblem(c.dense, c.bias, c.start.copyTo(arena), false))) {
            return session.loss(hidden, hidden.length / c.columns);
        }
    }

    @Test
    void theBiasGoesTowardsTheDenseProbabilities() {
        ask(Codec.INT4, 3, (c, tested, arena) -> {
            float[] hidden = c.hidden(1, 40);
            double[] difference = new double[c.rows];
            float[] rounded = c.start.withBias(c.bias).bias();
            for (int t = 0; t < 40; t++) {
                float[] a = new float[c.rows * c.columns];
                c.dense.readRows(0, c.rows, a, 0);
                double[] p = c.softmax(a, c.bias, hidden, t);
                c.start.decodeRows(0, c.rows, a, 0);
                double[] q = c.softmax(a, rounded, hidden, t);
                for (int i = 0; i < c.rows; i++) {
                    difference[i] += (p[i] - q[i]) / 40;
                }
            }
            try (CalibrationSession session = tested.calibrate(c.problem(true))) {
                // Large, so that rounding to bfloat16 does not hide the direction.
                session.step(hidden, 40, 1);
                float[] moved = session.snapshot(arena).bias();
                for (int i = 0; i < c.rows; i++) {
                    if (Math.abs(difference[i]) > 1e-5) {
                        double expected = 0.3 * Math.signum(difference[i]);
                        assertEquals(expected, moved[i] - c.bias[i], 0.01, c.at("bias of row " + i));
                    }
                }
            }
        });
    }

    @Test
    void trainingLowersTheLoss() {
        askAll(null, (c, tested, arena) -> {
            float[] hidden = c.hidden(1, 100);
            try (CalibrationSession session = tested.calibrate(c.problem(true))) {
                double before = session.loss(hidden, 100);
                for (int step = 0; step < 30; step++) {
                    session.step(hidden, 100, RATE);
                }
                double after = session.loss(hidden, 100);
                assertTrue(after < 0.9 * before, c.at("loss " + before + " became " + after));
            }
        });
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        assertThreadsChangeNoBit("losses and factors", (tested, arena) -> {
            CalibrationCase c = new CalibrationCase(arena, 7, null);
            try (CalibrationSession session = tested.calibrate(c.problem(true))) {
                List<Object> made = new ArrayList<>();
                for (int step = 0; step < 4; step++) {
                    made.add(session.step(c.hidden(step, 90 + step), 90 + step, RATE));
                }
                made.add(session.loss(c.hidden(9, 50), 50));
                CompressedMatrix snapshot = session.snapshot(arena);
                made.addAll(List.of(bytes(snapshot), snapshot.bias()));
                return made;
            }
        });
    }

    @Test
    void aSnapshotIsWhatWasMeasured() {
        askAll(null, (c, tested, arena) -> {
            byte[] before = bytes(c.start);
            float[] held = c.hidden(50, 64);
            try (CalibrationSession session = tested.calibrate(c.problem(false))) {
                assertArrayEquals(before, bytes(session.snapshot(arena)), c.at("snapshot before training"));
                for (int step = 0; step < 3; step++) {
                    session.step(c.hidden(step, 70), 70, RATE);
                }
                CompressedMatrix snapshot = session.snapshot(arena);
                assertNull(snapshot.bias(), c.at("bias"));
                double expected = session.loss(held, 64);
                session.step(held, 64, RATE);
                CalibrationProblem again = new CalibrationProblem(c.dense, c.bias, snapshot, false);
                try (CalibrationSession fresh = tested.calibrate(again)) {
                    assertEquals(expected, fresh.loss(held, 64), 1e-12 * expected, c.at("loss"));
                }
            }
            assertArrayEquals(before, bytes(c.start), c.at("the start"));
        });
    }

    @Test
    void aSnapshotCarriesTheTrainedBias() {
        askAll(null, (c, tested, arena) -> {
            float[] held = c.hidden(50, 64);
            try (CalibrationSession session = tested.calibrate(c.problem(true))) {
                for (int step = 0; step < 10; step++) {
                    session.step(c.hidden(step, 70), 70, 4 * RATE);
                }
                CompressedMatrix snapshot = session.snapshot(arena);
                double loss = session.loss(held, 64);
                assertEquals(c.kl(snapshot, held), loss, 1e-4 * loss, c.at("loss"));
            }
        });
    }

    @Test
    void aCalibrationKeepsTheBestEpoch() {
        askAll(Codec.INT4, (c, tested, arena) -> {
            Matrix hidden = Matrix.of("hidden", c.hidden(1, 1100), 1100, c.columns);
            List<String> heard = new ArrayList<>();
            SoftmaxData data = new SoftmaxData(hidden, null, c.bias);
            Calibration.Outcome outcome =
                    Calibration.run(tested, c.dense, data, c.start, 8, false, arena, (step, done) -> heard.add(step));
            Calibration.Outcome again = Calibration.run(tested, c.dense, data, c.start, 8, false, arena, Progress.NONE);
            assertEquals(9, outcome.heldOutLosses().size(), c.at("losses"));
            assertEquals(outcome.heldOutLosses(), again.heldOutLosses(), c.at("losses of two runs"));
            assertArrayEquals(bytes(outcome.matrix()), bytes(again.matrix()), c.at("factors of two runs"));
            assertNotSame(c.start, outcome.matrix(), c.at("training helps"));
            assertTrue(
                    heard.stream().anyMatch(step -> step.startsWith("calibration, epoch 8 of 8: KL ")),
                    c.at(heard.toString()));
            Matrix judged = new SoftmaxData(hidden, null, null).judged(2_000).hidden();
            assertEquals(220, judged.rows(), c.at("states held out"));
            float[] held = new float[220 * c.columns];
            judged.readRows(0, 220, held, 0);
            double least = outcome.heldOutLosses().stream().min(Double::compare).orElseThrow();
            assertTrue(least < outcome.heldOutLosses().getFirst(), c.at("losses " + outcome.heldOutLosses()));
            CalibrationProblem kept = new CalibrationProblem(c.dense, c.bias, outcome.matrix(), false);
            try (CalibrationSession session = tested.calibrate(kept)) {
                assertEquals(least, session.loss(held, 220), 1e-12 * least, c.at("loss of what was kept"));
            }
        });
    }

    @Test
    void aCalibrationLeavesAPerfectStartAlone() {
        ask(Codec.F32, 2, (c, tested, arena) -> {
            float[] exact = new float[c.rows * c.columns];
            c.start.decodeRows(0, c.rows, exact, 0);
            Matrix dense = Matrix.of("exact", exact, c.rows, c.columns);
            Matrix hidden = Matrix.of("hidden", c.hidden(1, 40), 40, c.columns);
            Calibration.Outcome outcome = Calibration.run(
                    tested, dense, new SoftmaxData(hidden, null, null), c.start, 2, false, arena, Progress.NONE);
            // Rounding makes a tiny gradient, and Adam a whole step of it: only a rate that falls with the KL keeps it
            // small.
            for (double loss : outcome.heldOutLosses()) {
                assertEquals(0, loss, 1e-6, c.at("losses " + outcome.heldOutLosses()));
            }
        });
    }

    @Test
    void oneHiddenStateIsTooFew() {
        ask(Codec.INT4, 1, (c, tested, arena) -> {
            Matrix hidden = Matrix.of("hidden", c.hidden(1, 1), 1, c.columns);
            SoftmaxData data = new SoftmaxData(hidden, null, c.bias);
            InvalidDataException e = assertThrows(
                    InvalidDataException.class,
                    () -> Calibration.run(tested, c.dense, data, c.start, 1, true, arena, Progress.NONE));
            assertTrue(e.getMessage().contains("give at least 2"), e.getMessage());
        });
    }

    @Test
    void closingTwiceIsHarmless() {
        ask(Codec.INT4, 1, (c, tested, arena) -> {
            CalibrationSession session = tested.calibrate(c.problem(true));
            session.close();
            session.close();
        });
    }
}
