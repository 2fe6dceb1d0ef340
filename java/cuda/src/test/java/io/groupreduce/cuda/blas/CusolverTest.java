package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.error.DeviceException;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("gpu")
class CusolverTest {
    private final Device device = TestDevice.open();

    @AfterEach
    void nothingLeaked() {
        TestDevice.assertNothingLeaked();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void eigenvaluesAscendMatrixByMatrix(boolean batched) {
        int order = 20;
        double[] both = new double[2 * order * order];
        double[] first = Columns.withSpectrum(Spectra.of(order, j -> j - 3), true, 1);
        double[] second = Columns.withSpectrum(Spectra.of(order, j -> 2 * j), true, 2);
        System.arraycopy(first, 0, both, 0, first.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        device.run(() -> {
            try (Cusolver solver = new Cusolver(device, batched);
                    DeviceMemory matrices = Columns.upload(device, both);
                    DeviceMemory values = device.allocate(2L * order * Double.BYTES, "a test")) {
                solver.eigen(order, matrices.address(), values.address(), 2);
                double[] found = Columns.download(device, values);
                for (int j = 0; j < order; j++) {
                    assertEquals(j - 3, found[j], 1e-12);
                    assertEquals(2 * j, found[order + j], 1e-12);
                }
            }
        });
    }

    @Test
    void aReleasedWorkspaceIsTakenAgain() {
        device.run(() -> {
            try (Cusolver solver = new Cusolver(device, true)) {
                for (int order : new int[] {4, 50, 9}) {
                    try (DeviceMemory matrices = Columns.upload(device, new double[3 * order * order]);
                            DeviceMemory values = device.allocate(3L * order * Double.BYTES, "a test")) {
                        solver.eigen(order, matrices.address(), values.address(), 3);
                        assertArrayEquals(new double[3 * order], Columns.download(device, values));
                        // What is there now are the eigenvectors, the identity.
                        solver.eigen(order, matrices.address(), values.address(), 3);
                        double[] ones = new double[3 * order];
                        Arrays.fill(ones, 1);
                        assertArrayEquals(ones, Columns.download(device, values), 1e-14);
                    }
                    if (order == 50) {
                        long open = device.openAllocations();
                        solver.release();
                        solver.release();
                        assertEquals(open - 1, device.openAllocations());
                    }
                }
            }
        });
    }

    @Test
    void choleskyTellsWhichMatrixIsNotPositive() {
        int order = 9;
        device.run(() -> {
            try (Cusolver solver = new Cusolver(device, true);
                    DeviceMemory good = Columns.upload(device, Columns.withSpectrum(Spectra.power(order, 1), true, 3));
                    DeviceMemory bad = Columns.upload(
                            device, Columns.withSpectrum(Spectra.of(order, j -> j == 4 ? -1 : 1), false, 4));
                    DeviceMemory addresses = Columns.upload(device, good.address(), bad.address())) {
                assertArrayEquals(new int[] {0, 5}, solver.cholesky(order, addresses.address(), 2));
                double[] l = Columns.download(device, good);
                double[] product = new double[order * order];
                for (int i = 0; i < order; i++) {
                    for (int j = 0; j <= i; j++) {
                        for (int p = 0; p <= j; p++) {
                            product[i * order + j] += l[i + p * order] * l[j + p * order];
                        }
                        product[j * order + i] = product[i * order + j];
                    }
                }
                assertArrayEquals(Columns.withSpectrum(Spectra.power(order, 1), true, 3), product, 1e-14);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @Tag("emulated") // a card's solver need not report a NaN
    void whatDoesNotConvergeIsAnError(boolean batched) {
        device.run(() -> {
            double[] matrices = new double[2 * 9];
            Arrays.fill(matrices, 9, 18, Double.NaN);
            try (Cusolver solver = new Cusolver(device, batched);
                    DeviceMemory memory = Columns.upload(device, matrices);
                    DeviceMemory values = device.allocate(6 * Double.BYTES, "a test")) {
                DeviceException e = assertThrows(
                        DeviceException.class, () -> solver.eigen(3, memory.address(), values.address(), 2));
                assertEquals(
                        (batched
                                        ? "cusolverDnXsyevBatched did not converge for matrix 1 of 2"
                                        : "cusolverDnXsyevd did not" + " converge for matrix 0 of 1")
                                + " of order 3 (info 1); look for extreme values in the matrix and the counts, or use"
                                + " --device cpu.",
                        e.getMessage());
            }
        });
    }

    @Test
    void closingTwiceIsHarmless() {
        Cusolver solver = device.call(() -> new Cusolver(device, true));
        solver.close();
        solver.close();
    }
}
