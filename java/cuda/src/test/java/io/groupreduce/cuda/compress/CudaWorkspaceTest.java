package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Metric;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.testkit.Generators;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Whole steps where memory is short, rows move for long, types are narrow and candidates are many. */
@Tag("gpu")
class CudaWorkspaceTest {
    private static final int ROWS = 2500;
    private static final int COLUMNS = 33;
    private static final int BASES = 5;

    /** Room for cuBLAS and for steps on short chunks, not for the matrix. */
    private static final long TIGHT = 900_000;

    private static final Matrix MATRIX = Generators.matrix(11, ROWS, COLUMNS, 0.7);

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    private static float[] weights(int rows) {
        float[] weights = new float[rows];
        for (int i = 0; i < rows; i++) {
            weights[i] = i % 17 == 0 ? 0 : 50f / (20 + i % 300);
        }
        return weights;
    }

    private static CompressionProblem problem(Matrix matrix, boolean withMetric) {
        if (!withMetric) {
            return CompressionProblem.weighted(matrix, weights(matrix.rows()));
        }
        MetricRoot metric = MetricRoot.of(
                new DenseAlgebra(new ReferenceBackend()::forEach),
                new Metric("a test's metric", matrix.columns(), Generators.moment(5, matrix.columns())));
        float[] weights = weights(matrix.rows());
        return new CompressionProblem(matrix, weights, weights, metric.root(), metric.rootInverse());
    }

    private static byte[] basisOf(long seed, int rows) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] basisOf = new byte[rows];
        for (int i = 0; i < rows; i++) {
            int b = random.nextInt(BASES + 1);
            basisOf[i] = (byte) (b == BASES ? GroupPlan.DENSE : b);
        }
        return basisOf;
    }

    /**
     * Every basis with two ranks, one basis cut short of what it has, so that projections do not all lie one behind the
     * other.
     */
    private static List<Candidate> candidates(double price, double densePrice) {
        List<Candidate> candidates = new ArrayList<>();
        for (int b = 0; b < BASES; b++) {
            candidates.add(new Candidate(b, b == 2 ? 9 : COLUMNS - b, b == 2 ? 0.3 * price : price));
            candidates.add(new Candidate(b, 3 + b, 0.1 * price));
        }
        candidates.add(new Candidate(1, 0, 0.01 * price));
        candidates.add(Candidate.dense(densePrice));
        return candidates;
    }

    private static final int[] RANKS = {COLUMNS, COLUMNS - 1, COLUMNS - 2, COLUMNS - 3, COLUMNS - 4};

    /** What the steps hand out. */
    private record Outcome(
            double energy, List<Spectrum> spectra, byte[] best, float[] gain, byte[] densest, float[] lost) {}

    private static Outcome run(CompressionWorkspace workspace, int rows) {
        double energy = workspace.energy();
        double price = 0.3 * energy / rows;
        workspace.accumulate(basisOf(1, rows), BASES);
        workspace.decompose(RANKS);
        byte[] basisOf = basisOf(1, rows);
        Arrays.fill(basisOf, 0, rows / 8, (byte) 3);
        workspace.accumulate(basisOf, BASES);
        List<Spectrum> spectra = workspace.decompose(RANKS);
        byte[] current = new byte[rows];
        for (int i = 0; i < rows; i++) {
            current[i] = (byte) (i % 12);
        }
        Outcome outcome =
                new Outcome(energy, spectra, new byte[rows], new float[rows], new byte[rows], new float[rows]);
        workspace.assign(candidates(price, 2 * price), current, outcome.best, outcome.gain);
        workspace.assign(candidates(price, 0), current, outcome.densest, outcome.lost);
        return outcome;
    }

    private static Outcome run(CompressionBackend backend, CompressionProblem problem) {
        try (CompressionWorkspace workspace = backend.open(problem)) {
            return run(workspace, problem.matrix().rows());
        }
    }

    private static void assertSame(Outcome expected, Outcome found, CompressionProblem problem, double tolerance) {
        assertEquals(expected.energy, found.energy, tolerance * expected.energy);
        for (int b = 0; b < BASES; b++) {
            double trace = expected.spectra.get(b).trace();
            assertEquals(trace, found.spectra.get(b).trace(), tolerance * trace);
            assertEquals(
                    0,
                    Memory.distance(
                            expected.spectra.get(b).values(),
                            found.spectra.get(b).values()),
                    tolerance * trace);
        }
        int rows = expected.best.length;
        int different = 0;
        double scale = expected.energy / rows;
        for (int i = 0; i < rows; i++) {
            different += expected.best[i] == found.best[i] ? 0 : 1;
            double allowed = tolerance * (expected.gain[i] + expected.lost[i] + 10 * scale);
            assertEquals(expected.gain[i], found.gain[i], allowed, "gain of row " + i);
            assertEquals(expected.lost[i], found.lost[i], allowed, "gain of row " + i + " when dense");
            assertTrue(found.gain[i] >= 0 && found.lost[i] >= 0);
        }
        assertTrue(different <= tolerance * 1000 * rows, different + " rows assigned elsewhere");
        assertTrue(Arrays.stream(rangeOf(found.best)).distinct().count() > 5, "many candidates win");
        assertArrayEquals(expected.densest, found.densest);
    }

    private static int[] rangeOf(byte[] values) {
        int[] numbers = new int[values.length];
        Arrays.setAll(numbers, i -> values[i]);
        return numbers;
    }

    @Test
    void everyElementTypeGivesWhatTheReferenceDoes() {
        for (DType type : new DType[] {DType.F32, DType.F16, DType.BF16}) {
            CompressionProblem problem = problem(DeviceMatrixTest.matrix(type, 700, COLUMNS), type != DType.F32);
            try (CompressionBackend backend = new CompressionBackend(TestDevice.open());
                    CompressionWorkspace reference = new ReferenceBackend().open(problem)) {
                assertSame(run(reference, 700), run(backend, problem), problem, 1e-5);
            }
        }
    }

    @Test
    @Tag("emulated")
    void aMatrixThatPassesThroughGivesTheSame() {
        Device device = TestDevice.open();
        for (boolean withMetric : new boolean[] {false, true}) {
            CompressionProblem problem = problem(MATRIX, withMetric);
            try (CompressionBackend backend = new CompressionBackend(device)) {
                Outcome expected = run(backend, problem);
                Memory.withAvailable(device, TIGHT, () -> assertSame(expected, run(backend, problem), problem, 1e-6));
            }
        }
    }

    @Test
    @Tag("emulated")
    void aStepIsDoneAgainWithLessWhereMemoryRunsOut() {
        Device device = TestDevice.open();
        CompressionProblem problem = problem(MATRIX, true);
        try (CompressionBackend backend = new CompressionBackend(device)) {
            Outcome expected = run(backend, problem);
            try (CompressionWorkspace workspace = backend.open(problem)) {
                // The matrix was taken up while there was room; now others have taken that.
                Memory.withFree(device, 200_000, () -> assertSame(expected, run(workspace, ROWS), problem, 1e-6));
            }
        }
    }

    @Test
    @Tag("emulated")
    void whatCannotFitSaysWhatWasTriedAndTheWorkspaceGoesOn() {
        Device device = TestDevice.open();
        CompressionProblem problem = problem(MATRIX, false);
        byte[] basisOf = basisOf(4, ROWS);
        try (CompressionBackend backend = new CompressionBackend(device);
                CompressionWorkspace workspace = backend.open(problem);
                CompressionWorkspace fresh = backend.open(problem)) {
            workspace.accumulate(basisOf, BASES);
            Memory.withFree(device, 200_000, () -> {
                OutOfDeviceMemoryException e =
                        assertThrows(OutOfDeviceMemoryException.class, () -> workspace.accumulate(basisOf, 254));
                assertTrue(
                        e.getMessage()
                                .matches("The matrix was left on the host and worked on 256 rows at a time, and"
                                        + " still: .* the Gram matrix of basis \\d+ of 254: .*"),
                        e.getMessage());
            });
            workspace.accumulate(basisOf, BASES);
            fresh.accumulate(basisOf, BASES);
            List<Spectrum> expected = fresh.decompose(RANKS);
            List<Spectrum> found = workspace.decompose(RANKS);
            for (int b = 0; b < BASES; b++) {
                double trace = expected.get(b).trace();
                assertEquals(
                        0,
                        Memory.distance(expected.get(b).values(), found.get(b).values()),
                        1e-12 * trace);
            }
        }
    }

    @Test
    @Tag("emulated")
    void aCardWithoutRoomRefusesToOpenAndKeepsNothing() {
        Device device = TestDevice.open();
        try (CompressionBackend backend = new CompressionBackend(device)) {
            long before = device.openAllocations();
            Memory.withFree(device, 5_000, () -> {
                OutOfDeviceMemoryException e =
                        assertThrows(OutOfDeviceMemoryException.class, () -> backend.open(problem(MATRIX, false)));
                assertTrue(e.getMessage().contains("the weights of the rows"), e.getMessage());
            });
            assertEquals(before, device.openAllocations());
        }
    }

    @Test
    void rowsThatMoveForLongLeaveTheGramMatricesOfAFreshStart() {
        checkMoves(TestDevice.open(), 1e-12);
    }

    @Test
    @Tag("emulated")
    void theyDoSoWhereDoubleIsSlow() {
        CudaLibraries libraries = TestDevice.libraries();
        EmulatedDriver.withAttribute(libraries, EmulatedDriver.SINGLE_TO_DOUBLE, 64, () -> {
            try (Device device = Device.open(libraries, 0)) {
                checkMoves(device, 1e-6);
            }
        });
    }

    private static void checkMoves(Device device, double tolerance) {
        CompressionProblem problem = problem(MATRIX, true);
        byte[] basisOf = basisOf(2, ROWS);
        SplittableRandom random = new SplittableRandom(3);
        try (CompressionBackend backend = new CompressionBackend(device);
                CompressionWorkspace moving = backend.open(problem);
                CompressionWorkspace fresh = backend.open(problem)) {
            for (int round = 0; round < 12; round++) {
                moving.accumulate(basisOf, BASES);
                for (int k = 0; k < ROWS / 20; k++) {
                    basisOf[random.nextInt(ROWS)] = (byte) (random.nextInt(5) == 0 ? 255 : random.nextInt(BASES));
                }
                if (round == 7) {
                    // Fewer bases for a while, one emptied and filled again.
                    byte[] fewer = basisOf.clone();
                    for (int i = 0; i < ROWS; i++) {
                        fewer[i] = basisOf[i] == 4 || basisOf[i] == 1 ? 0 : basisOf[i];
                    }
                    moving.accumulate(fewer, BASES - 1);
                    assertEquals(
                            0, moving.decompose(Arrays.copyOf(RANKS, 4)).get(1).trace());
                }
            }
            moving.accumulate(basisOf, BASES);
            fresh.accumulate(basisOf, BASES);
            List<Spectrum> expected = fresh.decompose(RANKS);
            List<Spectrum> found = moving.decompose(RANKS);
            for (int b = 0; b < BASES; b++) {
                double trace = expected.get(b).trace();
                assertEquals(trace, found.get(b).trace(), tolerance * trace);
                assertEquals(
                        0,
                        Memory.distance(expected.get(b).values(), found.get(b).values()),
                        tolerance * trace);
            }
        }
    }

    @Test
    void aBasisWithoutRowsHasDirectionsButNoEnergy() {
        CompressionProblem problem = problem(MATRIX, true);
        byte[] basisOf = new byte[ROWS];
        try (CompressionBackend backend = new CompressionBackend(TestDevice.open());
                CompressionWorkspace workspace = backend.open(problem)) {
            workspace.accumulate(basisOf, 2);
            List<Spectrum> spectra = workspace.decompose(new int[] {0, 7});
            assertEquals(workspace.energy(), spectra.get(0).trace(), 1e-6 * workspace.energy());
            assertEquals(0, spectra.get(0).values().length);
            assertEquals(0, spectra.get(1).trace());
            assertArrayEquals(new double[7], spectra.get(1).values());
            Directions directions = workspace.directions(1, 7);
            for (int k = 0; k < 7; k++) {
                for (int m = 0; m < 7; m++) {
                    double product = 0;
                    for (int j = 0; j < COLUMNS; j++) {
                        product += (double) directions.projection()[k * COLUMNS + j]
                                * directions.right()[m * COLUMNS + j];
                    }
                    assertEquals(k == m ? 1 : 0, product, 1e-4, "q_k S S^-1 q_m^T");
                }
            }
        }
    }

    @Test
    void whatTheSpectraPromiseIsWhatRowsLose() {
        // Wide enough for the solver that iterates.
        int rows = 1501;
        int columns = 301;
        int[] ranks = {40, 13};
        CompressionProblem problem = problem(Generators.matrix(8, rows, columns, 0.6), true);
        byte[] basisOf = new byte[rows];
        Arrays.fill(basisOf, rows / 4, rows, (byte) 1);
        try (CompressionBackend backend = new CompressionBackend(TestDevice.open());
                CompressionWorkspace workspace = backend.open(problem)) {
            workspace.accumulate(basisOf, 2);
            List<Spectrum> spectra = workspace.decompose(ranks);
            float[] lost = new float[rows];
            List<Candidate> candidates =
                    List.of(new Candidate(0, ranks[0], 0), new Candidate(1, ranks[1], 0), Candidate.dense(0));
            workspace.assign(candidates, basisOf, new byte[rows], lost);
            double[] sums = new double[2];
            for (int i = 0; i < rows; i++) {
                sums[basisOf[i]] += lost[i];
            }
            for (int b = 0; b < 2; b++) {
                double promised = spectra.get(b).loss(ranks[b]);
                assertTrue(promised > 1e-3 * spectra.get(b).trace(), "there is something to lose");
                assertEquals(promised, sums[b], 1e-4 * promised);
            }
        }
    }

    @Test
    @Tag("emulated")
    void aClosedWorkspaceLeavesNothingBehind() {
        Device device = TestDevice.open();
        CompressionProblem problem = problem(MATRIX, true);
        try (CompressionBackend backend = new CompressionBackend(device)) {
            // The first run loads what the device keeps.
            run(backend, problem);
            long memory = device.openAllocations();
            long objects = EmulatedDriver.objects(device.libraries());
            run(backend, problem);
            // Rows from the host take other ways.
            Memory.withAvailable(device, TIGHT, () -> run(backend, problem));
            assertEquals(memory, device.openAllocations());
            assertEquals(objects, EmulatedDriver.objects(device.libraries()));
        }
    }
}
