package io.groupreduce.cuda.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.compress.Memory;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Calibration over many tiles, batches of many states, and cards with little memory. */
@Tag("gpu")
class CalibrationTilesTest {
    private static final double RATE = 0.02;

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    private static CalibrationSession session(TrainingBackend backend, CalibrationProblem problem, int tileRows) {
        Device device = TestDevice.open();
        return device.call(() -> new CudaCalibration(device, backend.blas(), problem, tileRows));
    }

    /** More states than are taken together, and more than there was room for at first. */
    @Test
    void raggedTilesAndLargeBatchesFollowTheReference() {
        for (long seed = 1; seed <= 2; seed++) {
            try (Arena arena = Arena.ofShared();
                    TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
                TrainingCase c = new TrainingCase(arena, seed, 110, DType.BF16);
                CalibrationProblem problem = c.problem(seed == 1);
                float[] held = c.hidden(50, 60);
                try (CalibrationSession mine = session(backend, problem, 48);
                        CalibrationSession reference = new ReferenceBackend().calibrate(problem)) {
                    double before = reference.loss(held, 60);
                    for (int count : new int[] {600, 2100, 513, 5}) {
                        float[] hidden = c.hidden(count, count);
                        double expected = reference.step(hidden, count, RATE);
                        // Rounding that turns a number to the next code shows in the losses after the first step.
                        double tolerance = count == 600 ? 2e-6 * expected : 2e-3 * expected;
                        assertEquals(expected, mine.step(hidden, count, RATE), tolerance, c.at("loss of a step"));
                    }
                    double expected = reference.loss(held, 60);
                    assertTrue(expected < 0.95 * before, c.at(before + " moved to " + expected));
                    assertEquals(expected, mine.loss(held, 60), 2e-3 * expected, c.at("loss, once " + before));
                }
            }
        }
    }

    /** What stays where it is: dense rows, and the scales of left rows. */
    @Test
    void onlyWhatIsTrainedMoves() {
        try (Arena arena = Arena.ofShared();
                TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
            TrainingCase c = new TrainingCase(arena, 3, 200, DType.F32);
            try (CalibrationSession session = session(backend, c.problem(false), 64)) {
                session.step(c.hidden(1, 20), 20, 10 * RATE);
                CompressedMatrix moved = session.snapshot(arena);
                for (int g = 0; g < moved.groups().size(); g++) {
                    EncodedMatrix before = c.compressed.left(g);
                    EncodedMatrix after = moved.left(g);
                    if (before == null || before.scales() == null) {
                        continue;
                    }
                    assertEquals(-1, before.scales().mismatch(after.scales()), "scales of group " + g);
                    boolean trained =
                            moved.groups().get(g).isLowRank() && before.data().byteSize() > 0;
                    assertEquals(trained, before.data().mismatch(after.data()) >= 0, "codes of group " + g);
                }
                for (int b = 0; b < moved.bases(); b++) {
                    assertTrue(
                            c.compressed.right(b).data().mismatch(moved.right(b).data()) >= 0, "basis " + b);
                    assertTrue(
                            c.compressed
                                            .right(b)
                                            .scales()
                                            .mismatch(moved.right(b).scales())
                                    >= 0,
                            "scales of basis " + b);
                }
            }
        }
    }

    @Test
    @Tag("emulated")
    void aStreamedMatrixAndSmallTilesTrainAlike() {
        try (Arena arena = Arena.ofShared();
                TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
            TrainingCase c = new TrainingCase(arena, 9, 30_000, DType.F32);
            List<Double> resident = train(backend, c, 1024);
            List<Double> streamed = new ArrayList<>();
            List<Double> fallen = new ArrayList<>();
            // Everything but the matrix takes 8 MB with tiles of 1024 rows, the matrix 3.2 MB.
            Memory.withAvailable(TestDevice.open(), 9L << 20, () -> {
                streamed.addAll(train(backend, c, 1024));
                fallen.addAll(train(backend, c, 16_384));
            });
            assertEquals(resident, streamed, "streamed");
            assertEquals(resident, fallen, "with tiles as small as memory asks for");
            assertNotEquals(resident, train(backend, c, 16_384), "the size of a tile shows in the last bits");
        }
    }

    /** Losses to the last bit. */
    private static List<Double> train(TrainingBackend backend, TrainingCase c, int tileRows) {
        try (CalibrationSession session = session(backend, c.problem(false), tileRows)) {
            List<Double> losses = new ArrayList<>();
            for (int step = 0; step < 2; step++) {
                losses.add(session.step(c.hidden(step, 3), 3, RATE));
            }
            losses.add(session.loss(c.hidden(9, 3), 3));
            return losses;
        }
    }

    @Test
    @Tag("emulated")
    void aCardThatIsTooSmallIsAnErrorThatLeavesNothingBehind() {
        try (Arena arena = Arena.ofShared();
                TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
            TrainingCase c = new TrainingCase(arena, 2, 3000, DType.F32);
            long before = TestDevice.open().openAllocations();
            for (long bytes : new long[] {10 << 10, 100 << 10, 600 << 10, 2 << 20}) {
                Memory.withFree(TestDevice.open(), bytes, () -> {
                    OutOfDeviceMemoryException e = assertThrows(
                            OutOfDeviceMemoryException.class, () -> session(backend, c.problem(true), 16_384));
                    assertTrue(e.getMessage().contains("There is no room"), e.getMessage());
                });
                assertEquals(before, TestDevice.open().openAllocations(), "allocations after " + bytes);
            }
        }
    }
}
