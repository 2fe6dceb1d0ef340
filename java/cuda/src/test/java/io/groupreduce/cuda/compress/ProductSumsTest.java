package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Sums of products in both precisions against plain loops in double. Errors are relative to the norms of the columns
 * multiplied.
 */
@Tag("gpu")
class ProductSumsTest {
    private static final int ROWS = ProductSums.SINGLE_ROWS + 77;
    private static final int M = 5;
    private static final int N = 12;

    private Device device = TestDevice.open();
    private final List<AutoCloseable> open = new ArrayList<>();
    private final float[] left = Generators.powerLaw(1, ROWS, M, 0.5);
    private final float[] right = Generators.powerLaw(2, ROWS, N, 0.5);
    private final float[] weights = new float[ROWS];

    ProductSumsTest() {
        Generators.plantOutliers(3, left, 5, 100);
        for (int i = 0; i < ROWS; i++) {
            weights[i] = i % 3 == 0 ? 0 : 10f / (1 + i % 100);
        }
    }

    @AfterEach
    void nothingLeaks() {
        Memory.close(device, open);
        TestDevice.assertNothingLeaked();
    }

    private long address(MemorySegment values) {
        DeviceMemory memory = Memory.upload(device, values);
        open.add(memory);
        return device.call(memory::address);
    }

    private ProductSums sums(boolean wide) {
        Cublas blas = device.call(() -> new Cublas(device));
        open.add(blas);
        Owned owned = new Owned(device);
        open.add(owned);
        return device.call(() -> new ProductSums(owned, blas, wide));
    }

    private double[] add(boolean wide, boolean weighted) {
        double[] start = new double[M * N];
        start[3] = 7;
        long sum = address(MemorySegment.ofArray(start));
        long l = address(MemorySegment.ofArray(left));
        long r = address(MemorySegment.ofArray(right));
        long w = weighted ? address(MemorySegment.ofArray(weights)) : 0;
        ProductSums sums = sums(wide);
        device.run(() -> sums.add(l, M, r, N, w, ROWS, sum));
        return Memory.doubles(device, sum, M * N);
    }

    private void check(boolean wide, boolean weighted, double tolerance) {
        double[] found = add(wide, weighted);
        for (int m = 0; m < M; m++) {
            for (int n = 0; n < N; n++) {
                double expected = m * N + n == 3 ? 7 : 0;
                double squares = 0;
                double others = 0;
                for (int i = 0; i < ROWS; i++) {
                    double w = weighted ? weights[i] : 1;
                    expected += w * left[i * M + m] * right[i * N + n];
                    squares += w * left[i * M + m] * left[i * M + m];
                    others += w * right[i * N + n] * right[i * N + n];
                }
                assertEquals(expected, found[m * N + n], tolerance * Math.sqrt(squares * others), m + ", " + n);
            }
        }
    }

    @Test
    void inDoubleNothingShows() {
        check(true, true, 1e-14);
        check(true, false, 1e-14);
    }

    @Test
    void inSingleTheErrorIsThatOfOneBlock() {
        check(false, true, 2e-6);
        check(false, false, 2e-6);
    }

    @Test
    void squaresComeAndGo() {
        for (boolean wide : new boolean[] {true, false}) {
            double[] rows = new double[ROWS * N];
            for (int x = 0; x < rows.length; x++) {
                rows[x] = right[x];
            }
            long values = address(wide ? MemorySegment.ofArray(rows) : MemorySegment.ofArray(right));
            double[] start = new double[N * N];
            for (int m = 0; m < N; m++) {
                Arrays.fill(start, m * N, m * N + m, 7);
            }
            long gram = address(MemorySegment.ofArray(start));
            ProductSums sums = sums(wide);
            int gone = ROWS / 3;
            device.run(() -> {
                sums.addSquares(values, N, ROWS, 1, gram);
                sums.addSquares(values, N, gone, -1, gram);
            });
            double[] found = Memory.doubles(device, gram, N * N);
            for (int m = 0; m < N; m++) {
                for (int n = 0; n < m; n++) {
                    assertEquals(7, found[m * N + n], "nothing is read or written there: " + m + ", " + n);
                }
                for (int n = m; n < N; n++) {
                    double expected = 0;
                    for (int i = gone; i < ROWS; i++) {
                        expected += rows[i * N + m] * rows[i * N + n];
                    }
                    assertEquals(expected, found[m * N + n], (wide ? 1e-12 : 1e-6) * ROWS, m + ", " + n);
                }
            }
        }
    }

    @Test
    @Tag("emulated")
    void slicesThatFillALargeCardAddUpToTheSame() {
        CudaLibraries libraries = TestDevice.libraries();
        EmulatedDriver.withAttribute(libraries, EmulatedDriver.MULTIPROCESSORS, 132, () -> {
            try (Device large = Device.open(libraries, 0)) {
                device = large;
                inDoubleNothingShows();
                inSingleTheErrorIsThatOfOneBlock();
                squaresComeAndGo();
                for (boolean wide : new boolean[] {true, false}) {
                    squaresOfSeveralPanels(wide);
                }
                Memory.close(device, open);
                open.clear();
                device = TestDevice.open();
            }
        });
    }

    /** Three panels, the last one narrow; a number of rows that no number of slices divides. */
    private void squaresOfSeveralPanels(boolean wide) {
        int columns = 2 * ProductSums.PANEL + 9;
        int rows = 3 * ProductSums.LEAST_ROWS + 1;
        float[] single = Generators.powerLaw(4, rows, columns, 0.5);
        Generators.plantOutliers(4, single, 5, 30);
        double[] values = new double[single.length];
        Arrays.setAll(values, x -> single[x]);
        long at = address(wide ? MemorySegment.ofArray(values) : MemorySegment.ofArray(single));
        long gram = address(MemorySegment.ofArray(new double[columns * columns]));
        ProductSums sums = sums(wide);
        device.run(() -> sums.addSquares(at, columns, rows, -1, gram));
        double[] found = Memory.doubles(device, gram, columns * columns);
        double[] squares = new double[columns];
        for (int x = 0; x < values.length; x++) {
            squares[x % columns] += values[x] * values[x];
        }
        for (int m = 0; m < columns; m += 7) {
            for (int n = 0; n < columns; n++) {
                double expected = 0;
                for (int i = 0; i < rows && n >= m; i++) {
                    expected -= values[i * columns + m] * values[i * columns + n];
                }
                double tolerance = (wide ? 1e-14 : 2e-6) * Math.sqrt(squares[m] * squares[n]);
                assertEquals(expected, found[m * columns + n], tolerance, "seed 4, " + m + ", " + n);
            }
        }
    }
}
