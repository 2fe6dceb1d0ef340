package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.error.DeviceException;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Both paths of the device eigensolver, on matrices whose spectrum is known. */
@Tag("gpu")
class CudaTruncatedEigenTest {
    private static final double EXACT = 1e-13;

    /** Of what the Krylov path may miss. */
    private static final double CLOSE = 2e-6;

    /** The least order of the Krylov path. */
    private static final int LARGE = 256;

    private final Device device = TestDevice.open();

    @AfterEach
    void nothingLeaked() {
        TestDevice.assertNothingLeaked();
    }

    /** Runs the test and checks that the Krylov path settled everything. */
    private void settled(boolean batched, Consumer<CudaTruncatedEigen> test) {
        with(batched, eigen -> {
            test.accept(eigen);
            assertEquals(0, eigen.unsettled(), "matrices that went to the full decomposition");
        });
    }

    private void with(boolean batched, Consumer<CudaTruncatedEigen> test) {
        device.run(() -> {
            try (Cublas blas = new Cublas(device);
                    CudaTruncatedEigen eigen = new CudaTruncatedEigen(device, blas, batched)) {
                test.accept(eigen);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void fullDecompositionsOfEverySort(boolean batched) {
        with(batched, eigen -> {
            for (int order : new int[] {1, 2, 3, 31, 100}) {
                new EigenCheck(order)
                        .add(Spectra.power(order, 1), order)
                        .add(Spectra.exponential(order, 2), (order + 1) / 2)
                        .add(Spectra.flat(order), 0)
                        .add(Spectra.step(order, order / 3), order)
                        .add(Spectra.lowRank(order, order / 4), order)
                        .add(new double[order], order)
                        .add(Spectra.of(order, j -> j % 2 == 0 ? j : -j), order)
                        .solve(device, eigen)
                        .check(EXACT);
            }
        });
    }

    @Test
    void krylovFindsFallingSpectraOfDifferentRanks() {
        settled(true, eigen -> new EigenCheck(LARGE)
                .add(Spectra.power(LARGE, 1), 24)
                .add(Spectra.power(LARGE, 0.5), 24)
                .add(Spectra.power(LARGE, 2), 64)
                .add(Spectra.exponential(LARGE, 20), 1)
                .add(Spectra.exponential(LARGE, 1), 40)
                .add(Spectra.power(LARGE, 1), LARGE / 2)
                .add(Spectra.power(LARGE, 1), 0)
                .solve(device, eigen)
                .check(CLOSE));
    }

    /** Those of high rank are decomposed in full, moved together past the others. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void bothPathsTakeTurns(boolean batched) {
        settled(batched, eigen -> new EigenCheck(LARGE)
                .add(Spectra.power(LARGE, 1), 24)
                .add(Spectra.power(LARGE, 0), 0)
                .add(Spectra.power(LARGE, 0.5), LARGE / 2)
                .add(Spectra.exponential(LARGE, 3), 40)
                .add(Spectra.flat(LARGE), LARGE)
                .add(Spectra.step(LARGE, 100), LARGE / 3)
                .add(Spectra.power(LARGE, 2), 16)
                .solve(device, eigen)
                .check(CLOSE));
    }

    @Test
    void krylovFindsFlatSteppedLowRankAndZeroSpectra() {
        settled(true, eigen -> new EigenCheck(LARGE)
                .add(Spectra.flat(LARGE), 20)
                .add(Spectra.step(LARGE, 16), 20)
                .add(Spectra.step(LARGE, 100), 20)
                .add(Spectra.lowRank(LARGE, 7), 20)
                .add(Spectra.of(LARGE, j -> 1), 20)
                .add(new double[LARGE], 20)
                .add(Spectra.of(LARGE, j -> 1e-150 / (j + 1)), 20)
                .solve(device, eigen)
                .check(CLOSE));
    }

    @Test
    void krylovTakesOrdersThatFillNoTile() {
        settled(false, eigen -> new EigenCheck(281)
                .add(Spectra.power(281, 1), 11)
                .add(Spectra.exponential(281, 9), 70)
                .solve(device, eigen)
                .check(CLOSE));
    }

    @Test
    void aWarmStartFindsTheSameAsAColdOne() {
        settled(true, eigen -> {
            double[] first = Spectra.power(LARGE, 0.7);
            double[] second = Spectra.of(LARGE, j -> first[j] * (1 + 0.1 * Math.sin(j)));
            new EigenCheck(LARGE)
                    .add(first, 24)
                    .add(first, 40)
                    .solve(device, eigen)
                    .check(CLOSE);
            new EigenCheck(LARGE)
                    .add(second, 24)
                    .add(second, 30)
                    .solve(device, eigen)
                    .check(CLOSE);
            // More than before, less than before, and another order.
            new EigenCheck(LARGE)
                    .add(first, 60)
                    .add(first, 8)
                    .solve(device, eigen)
                    .check(CLOSE);
            new EigenCheck(LARGE + 1)
                    .add(Spectra.power(LARGE + 1, 1), 24)
                    .solve(device, eigen)
                    .check(CLOSE);
        });
    }

    @Test
    void roundsAreFewAndFewerWhenWarm() {
        settled(true, eigen -> {
            double[] spectrum = Spectra.power(LARGE, 1);
            new EigenCheck(LARGE)
                    .add(spectrum, 24)
                    .add(spectrum, 20)
                    .solve(device, eigen)
                    .check(CLOSE);
            int cold = eigen.rounds();
            assertTrue(cold >= 2 && cold <= 4, cold + " rounds from a cold start");
            double[] near = Spectra.of(LARGE, j -> spectrum[j] * (1 + 0.02 * Math.sin(j)));
            new EigenCheck(LARGE)
                    .add(near, 24)
                    .add(near, 20)
                    .solve(device, eigen)
                    .check(CLOSE);
            int warm = eigen.rounds() - cold;
            assertTrue(warm < cold, warm + " rounds from a warm start, " + cold + " from a cold one");
        });
    }

    @Test
    void aBlockOfNearlyParallelVectorsIsMadeOrthonormal() {
        settled(true, eigen -> {
            // Beyond the 28th eigenvalue all is rounding; the filter turns the fresh vectors of the second call to the
            // first eigenvector.
            EigenCheck check =
                    new EigenCheck(LARGE).add(Spectra.exponential(LARGE, 1), 60).add(Spectra.lowRank(LARGE, 3), 60);
            check.solve(device, eigen).check(CLOSE);
            check.solve(device, eigen).check(CLOSE);
        });
    }

    @Test
    void aWarmStartFindsWhatIsOrthogonalToTheOldVectors() {
        settled(true, eigen -> {
            // The axes are the eigenvectors, and the old ones stay eigenvectors: nothing of the 15 new ones is in the
            // block that was kept.
            double[] before = Spectra.of(LARGE, j -> j < 100 ? 5 + 0.01 * j : 1e-3);
            double[] after = Spectra.of(LARGE, j -> j > 240 ? before[j - 150] + 0.2 : before[j]);
            new EigenCheck(LARGE).add(before, 24, false).solve(device, eigen).check(CLOSE);
            new EigenCheck(LARGE).add(after, 24, false).solve(device, eigen).check(CLOSE);
        });
    }

    @Test
    void forgettingGivesTheKeptVectorsBack() {
        with(true, eigen -> {
            long before = device.openAllocations();
            EigenCheck cold =
                    new EigenCheck(LARGE).add(Spectra.power(LARGE, 1), 24).add(Spectra.flat(LARGE), 3);
            double[] vectors = cold.solve(device, eigen).vectors();
            long kept = device.openAllocations();
            assertTrue(kept > before, "kept vectors take memory");
            eigen.forget();
            assertEquals(kept - 2, device.openAllocations());
            assertArrayEquals(vectors, cold.solve(device, eigen).vectors(), "a cold start again");
        });
    }

    @Test
    void theSameCallsGiveTheSameBytes() {
        double[][] vectors = new double[2][];
        double[][] values = new double[2][];
        for (int run = 0; run < 2; run++) {
            int r = run;
            settled(true, eigen -> {
                EigenCheck check = new EigenCheck(LARGE)
                        .add(Spectra.power(LARGE, 1), 24)
                        .add(Spectra.flat(LARGE), 30)
                        .add(Spectra.power(LARGE, 1), 200);
                check.solve(device, eigen);
                check.solve(device, eigen);
                vectors[r] = check.vectors();
                values[r] =
                        check.values().stream().flatMapToDouble(Arrays::stream).toArray();
            });
        }
        assertArrayEquals(vectors[0], vectors[1]);
        assertArrayEquals(values[0], values[1]);
    }

    @Test
    void whatKrylovCannotSettleGoesToTheFullDecomposition() {
        // Large negative eigenvalues, which no Gram matrix has, fill the block.
        with(true, eigen -> {
            new EigenCheck(LARGE)
                    .add(Spectra.power(LARGE, 1), 16)
                    .add(Spectra.of(LARGE, j -> j < 128 ? 300 - j : -200 - j), 16)
                    .add(Spectra.power(LARGE, 1), 16)
                    .solve(device, eigen)
                    .check(CLOSE);
            assertEquals(1, eigen.unsettled());
        });
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1 << 20, 3 << 20})
    @Tag("emulated") // only the stand-in's memory can be made small
    void littleMemoryMeansFewerMatricesAtATime(long available) {
        settled(true, eigen -> {
            EigenCheck check = new EigenCheck(LARGE)
                    .add(Spectra.power(LARGE, 1), 24)
                    .add(Spectra.exponential(LARGE, 20), 24)
                    .add(Spectra.power(LARGE, 2), 20)
                    .add(Spectra.power(LARGE, 2), 24)
                    .add(Spectra.power(LARGE, 1), 200)
                    .add(Spectra.power(LARGE, 1), 100);
            // The grams and the vectors come on top of what is to be available.
            withAvailable(available + 2 * 6 * 8 * LARGE * LARGE, () -> check.solve(device, eigen));
            check.check(CLOSE);
        });
    }

    /** Runs the work with the least card on which so much is available. */
    private void withAvailable(long bytes, Runnable work) {
        long step = 1 << 18;
        boolean[] done = {false};
        for (long card = step; !done[0]; card += step) {
            EmulatedDriver.withMemory(device.libraries(), card, () -> {
                if (device.availableMemory() >= bytes) {
                    done[0] = true;
                    work.run();
                }
            });
        }
    }

    @Test
    void blocksAreWiderThanRanksAndSharedBySimilarOnes() {
        for (int rank = 1; rank < 2000; rank++) {
            int width = CudaTruncatedEigen.width(rank);
            assertTrue(width >= rank + 8 && width >= rank + rank / 8, "rank " + rank + ": " + width);
            assertTrue(width <= rank * 1.3 + 24, "rank " + rank + ": " + width);
            assertTrue(width >= CudaTruncatedEigen.width(Math.max(1, rank - 1)), "rank " + rank + ": " + width);
        }
        assertEquals(CudaTruncatedEigen.width(17), CudaTruncatedEigen.width(24));
    }

    @Test
    void aMatrixThatIsNotFiniteIsAnError() {
        with(true, eigen -> {
            double[] broken = new double[LARGE * LARGE];
            broken[3 * (LARGE + 1)] = Double.POSITIVE_INFINITY;
            try (DeviceMemory gram = Columns.upload(device, broken);
                    DeviceMemory vectors = device.allocate(gram.bytes(), "a test")) {
                DeviceException e = assertThrows(
                        DeviceException.class,
                        () -> eigen.leading(gram.address(), LARGE, new int[] {8}, vectors.address()));
                assertEquals(
                        "The Gram matrix of basis 0 is not finite; look for extreme values in the matrix and the"
                                + " counts, or use --device cpu.",
                        e.getMessage());
            }
        });
    }

    @Test
    void closingTwiceIsHarmless() {
        try (Cublas blas = device.call(() -> new Cublas(device))) {
            CudaTruncatedEigen eigen = device.call(() -> new CudaTruncatedEigen(device, blas));
            eigen.close();
            eigen.close();
        }
    }
}
