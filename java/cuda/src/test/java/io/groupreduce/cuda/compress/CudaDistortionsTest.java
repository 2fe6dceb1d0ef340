package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.spi.Choice;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Tables of distortions on the card and on the host, in pieces, and the choices from them. */
@Tag("gpu")
class CudaDistortionsTest {
    private static final int ROWS = 5 * 1024 + 77;

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    /** Whole numbers, so that many plans tie and sums are exact. */
    private static float[] distortions(int plans) {
        SplittableRandom random = new SplittableRandom(plans);
        float[] values = new float[ROWS * plans];
        for (int x = 0; x < values.length; x++) {
            values[x] = random.nextInt(9);
        }
        return values;
    }

    private static void write(Device device, CudaDistortions table, float[] values, int plans) {
        int end;
        for (int first = 0; first < ROWS; first = end) {
            end = Math.min(table.end(first), first + 700);
            assertTrue(end > first && end <= ROWS);
            float[] rows = new float[(end - first) * table.stride()];
            for (int i = first; i < end; i++) {
                System.arraycopy(values, i * plans, rows, (i - first) * table.stride(), plans);
            }
            try (DeviceMemory copy = device.allocate(4L * rows.length, "a test's distortions")) {
                device.upload(MemorySegment.ofArray(rows), copy, 0);
                device.stream().copy(table.address(first), copy.address(), copy.bytes());
                table.written(first, end - first);
            }
        }
    }

    @Test
    void choosesTheSameFromTheCardAndFromTheHost() {
        Device device = TestDevice.open();
        for (int plans : new int[] {1, 7, 64, 255}) {
            float[] values = distortions(plans);
            double[] bytes = new double[plans];
            for (int p = 0; p < plans; p++) {
                bytes[p] = p % 4 == 3 ? Double.POSITIVE_INFINITY : 5 + p % 3;
            }
            for (boolean onHost : new boolean[] {false, true}) {
                device.run(() -> {
                    long headroom = onHost ? device.availableMemory() : 0;
                    try (CudaDistortions table = new CudaDistortions(device, ROWS, plans, headroom)) {
                        write(device, table, values, plans);
                        assertEquals(onHost ? 1024 : ROWS, table.end(0));
                        for (double price : new double[] {0, 0.5, 1, 3, 1e300}) {
                            check(table, values, price, bytes);
                        }
                    }
                });
            }
        }
    }

    private static void check(CudaDistortions table, float[] values, double price, double[] bytes) {
        byte[] groupOf = new byte[ROWS];
        Choice choice = table.choose(price, bytes, groupOf);
        int plans = bytes.length;
        double[] sums = new double[plans];
        long[] rows = new long[plans];
        byte[] expected = new byte[ROWS];
        double cheapest = Arrays.stream(bytes).min().orElseThrow();
        for (int i = 0; i < ROWS; i++) {
            int least = -1;
            double best = Double.POSITIVE_INFINITY;
            for (int p = 0; p < plans; p++) {
                double objective = bytes[p] == Double.POSITIVE_INFINITY
                        ? bytes[p]
                        : values[i * plans + p] + price * (bytes[p] - cheapest);
                if (objective < best) {
                    best = objective;
                    least = p;
                }
            }
            expected[i] = (byte) least;
            sums[least] += values[i * plans + least];
            rows[least]++;
        }
        assertArrayEquals(expected, groupOf, "plans at price " + price);
        assertArrayEquals(rows, choice.rows());
        assertArrayEquals(sums, choice.distortions());
    }
}
