package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Coordinates from terms of bfloat16 against plain loops in double: ragged sizes, outliers, and sums that tensor cores cut. */
@Tag("gpu")
class SplitProductsTest {
    private static final int COUNT = 37;
    private static final int WIDTH = 21;
    private static final int STRIDE = SplitProducts.stride(WIDTH);

    /** The part of a sum that cutting it to binary32 takes away at most. */
    private static final double CUT = 0x1p-23;

    private final Device device = TestDevice.open();

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    private float[] products(float[] rows, float[] directions, int columns) {
        return device.call(() -> {
            try (Cublas blas = new Cublas(device)) {
                SplitProducts split = new SplitProducts(device, blas, columns);
                try (DeviceMemory a = Memory.upload(device, MemorySegment.ofArray(rows));
                        DeviceMemory p = Memory.upload(device, MemorySegment.ofArray(directions));
                        DeviceMemory left = device.allocate(COUNT * split.rowBytes(), "a test's rows");
                        DeviceMemory right = device.allocate(WIDTH * split.rowBytes(), "a test's directions");
                        DeviceMemory target = device.allocate(4L * COUNT * STRIDE, "a test's coordinates")) {
                    split.split(a.address(), COUNT, true, left.address());
                    split.split(p.address(), WIDTH, false, right.address());
                    split.multiply(left.address(), COUNT, right.address(), WIDTH, target.address());
                    float[] strided = Memory.floats(device, target.address(), COUNT * STRIDE);
                    float[] found = new float[COUNT * WIDTH];
                    for (int i = 0; i < COUNT; i++) {
                        System.arraycopy(strided, i * STRIDE, found, i * WIDTH, WIDTH);
                    }
                    return found;
                }
            }
        });
    }

    @Test
    void coordinatesAreAsExactAsInBinary32() {
        for (int columns : new int[] {1, 17, 256, 300, 1019}) {
            float[] rows = Generators.powerLaw(columns, COUNT, columns, 0.3);
            Generators.plantOutliers(columns, rows, 5, 100);
            float[] directions = Generators.powerLaw(columns + 1L, WIDTH, columns, 0);
            float[] found = products(rows, directions, columns);
            // Cuts of the large products, and a few of the others; three products that are left out, chunks added up.
            double bound = CUT * (Math.min(columns, 256) / 8.0 + 4) + 6 * 0x1p-24;
            for (int x = 0; x < found.length; x++) {
                double expected = 0;
                double size = 0;
                for (int j = 0; j < columns; j++) {
                    double product = (double) rows[x / WIDTH * columns + j] * directions[x % WIDTH * columns + j];
                    expected += product;
                    size += Math.abs(product);
                }
                assertEquals(expected, found[x], bound * size, "seed " + columns + ", number " + x);
            }
        }
    }

    /** Numbers of one sign, whose sums are cut where they are largest. */
    @Test
    void energiesOfLongRowsAreHardlyTooSmall() {
        int columns = 1024;
        float[] rows = Generators.powerLaw(9, COUNT, columns, 0);
        float[] directions = Generators.powerLaw(10, WIDTH, columns, 0);
        for (float[] values : new float[][] {rows, directions}) {
            for (int x = 0; x < values.length; x++) {
                values[x] = Math.abs(values[x]);
            }
        }
        double expected = 0;
        for (int x = 0; x < COUNT * WIDTH; x++) {
            double sum = 0;
            for (int j = 0; j < columns; j++) {
                sum += (double) rows[x / WIDTH * columns + j] * directions[x % WIDTH * columns + j];
            }
            expected += sum * sum;
        }
        double missing = 1 - energy(products(rows, directions, columns)) / expected;
        assertTrue(Math.abs(missing) < 2e-6, "seed 9: " + missing + " of the energy is missing");
    }

    @Test
    @Tag("emulated")
    void inOneGoTheyWouldBeTooSmall() {
        int columns = 1024;
        short[] numbers = new short[COUNT * columns];
        for (int x = 0; x < numbers.length; x++) {
            numbers[x] = (short) (0x3f80 + x * 37 % 600);
        }
        double expected = 0;
        for (int i = 0; i < COUNT; i++) {
            double sum = 0;
            for (int j = 0; j < columns; j++) {
                double value = Float.intBitsToFloat(numbers[i * columns + j] << 16);
                sum += value * Float.intBitsToFloat(numbers[j] << 16);
            }
            expected += sum * sum;
        }
        float[] found = device.call(() -> {
            try (Cublas blas = new Cublas(device);
                    DeviceMemory a = Memory.upload(device, MemorySegment.ofArray(numbers));
                    DeviceMemory target = device.allocate(4L * COUNT, "a test's sums")) {
                Operand first = Operand.transposed(a.address(), columns);
                Operand all = Operand.of(a.address(), columns);
                blas.gemmBf16(1, COUNT, columns, 1, first, all, 0, Operand.of(target.address(), 1));
                return Memory.floats(device, target.address(), COUNT);
            }
        });
        double missing = 1 - energy(found) / expected;
        assertTrue(missing > 4e-6, missing + " of the energy is missing");
    }

    private static double energy(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        return sum;
    }
}
