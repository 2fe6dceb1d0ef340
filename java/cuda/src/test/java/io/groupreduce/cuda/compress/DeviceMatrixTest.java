package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Rows arrive as they are stored, whether the matrix lies on the card or passes through it. */
@Tag("gpu")
class DeviceMatrixTest {
    private static final int ROWS = 2777;
    private static final int COLUMNS = 36;
    private static final DType[] TYPES = {DType.F32, DType.F16, DType.BF16};

    /** A card with less than the matrix and the work on it need. */
    private static final long TIGHT = 1_200_000;

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    /** Numbers that every type holds exactly, so that rows can be told apart. */
    static Matrix matrix(DType type, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(rows + columns);
        MemorySegment data = MemorySegment.ofArray(new byte[rows * columns * type.bytes()]);
        for (int x = 0; x < rows * columns; x++) {
            float value = random.nextInt(-127, 128) / 32f;
            switch (type) {
                case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * x, value);
                case F16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * x, Float.floatToFloat16(value));
                default ->
                    data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * x, (short) (Float.floatToRawIntBits(value) >>> 16));
            }
        }
        return Matrix.of(type + " rows", type, rows, columns, data);
    }

    private static float[] weights(int rows) {
        float[] weights = new float[rows];
        for (int i = 0; i < rows; i++) {
            weights[i] = i % 5 == 0 ? 0 : 4f / (1 + i % 7);
        }
        return weights;
    }

    private static float[] rows(Matrix matrix, int first, int count) {
        float[] values = new float[count * matrix.columns()];
        matrix.readRows(first, count, values, 0);
        return values;
    }

    /** Visits all rows and checks them; returns how long the chunks were. */
    private static List<Integer> visit(Device device, DeviceMatrix tested, Matrix matrix) {
        List<Integer> chunks = new ArrayList<>();
        int[] next = new int[1];
        device.run(() -> tested.forEach((values, first, count) -> {
            assertEquals(next[0], first);
            assertArrayEquals(
                    rows(matrix, first, count),
                    Memory.floats(device, values, count * matrix.columns()),
                    "from " + first);
            next[0] += count;
            chunks.add(count);
        }));
        assertEquals(matrix.rows(), next[0]);
        return chunks;
    }

    @Test
    void aMatrixThatFitsStaysOnTheCard() {
        Device device = TestDevice.open();
        for (DType type : TYPES) {
            Matrix matrix = matrix(type, ROWS, COLUMNS);
            float[] weights = weights(ROWS);
            try (Owned owned = new Owned(device)) {
                DeviceMatrix tested = device.call(() -> new DeviceMatrix(owned, matrix, weights));
                assertTrue(tested.resident());
                assertEquals(List.of(ROWS), visit(device, tested, matrix));
                assertArrayEquals(weights, Memory.floats(device, tested.weights(), ROWS));
            }
        }
    }

    @Test
    @Tag("emulated")
    void aLargerMatrixPassesThroughInChunks() {
        Device device = TestDevice.open();
        for (DType type : TYPES) {
            Matrix matrix = matrix(type, ROWS, COLUMNS);
            Memory.withAvailable(device, TIGHT, () -> {
                try (Owned owned = new Owned(device)) {
                    DeviceMatrix tested = device.call(() -> new DeviceMatrix(owned, matrix, weights(ROWS)));
                    assertFalse(tested.resident());
                    List<Integer> chunks = visit(device, tested, matrix);
                    assertTrue(chunks.size() > 2, chunks.toString());
                    assertEquals(tested.chunkRows(), chunks.get(0));
                    assertEquals(ROWS % tested.chunkRows(), chunks.get(chunks.size() - 1), "the last one is ragged");
                    assertEquals(chunks, visit(device, tested, matrix), "a second pass");
                }
            });
        }
    }

    @Test
    void shrinkingHalvesChunksAndAtLastGivesUpTheCard() {
        Device device = TestDevice.open();
        Matrix matrix = matrix(DType.BF16, ROWS, COLUMNS);
        try (Owned owned = new Owned(device)) {
            DeviceMatrix tested = device.call(() -> new DeviceMatrix(owned, matrix, weights(ROWS)));
            int steps = 0;
            while (tested.resident()) {
                assertTrue(device.call(tested::shrink));
                steps++;
            }
            assertEquals(256, tested.chunkRows());
            assertEquals(11, visit(device, tested, matrix).size());
            assertFalse(device.call(tested::shrink), "nothing is left after " + steps + " steps");
        }
    }

    @Test
    void listedRowsAreGatheredFromTheCardAndFromTheHost() {
        Device device = TestDevice.open();
        byte[] keyOf = new byte[ROWS];
        SplittableRandom random = new SplittableRandom(3);
        for (int i = 0; i < ROWS; i++) {
            keyOf[i] = (byte) random.nextInt(4);
        }
        RowLists lists = RowLists.of(keyOf, 3);
        for (DType type : TYPES) {
            Matrix matrix = matrix(type, ROWS, COLUMNS);
            try (Owned owned = new Owned(device)) {
                DeviceMatrix tested = device.call(() -> new DeviceMatrix(owned, matrix, weights(ROWS)));
                gather(device, tested, matrix, lists, false);
                while (tested.resident()) {
                    device.call(tested::shrink);
                }
                gather(device, tested, matrix, lists, true);
            }
        }
    }

    private static void gather(Device device, DeviceMatrix tested, Matrix matrix, RowLists lists, boolean blocks) {
        float[] weights = weights(ROWS);
        // Buffers of 100 rows: several for each block.
        try (Owned owned = new Owned(device)) {
            GatheredRows gathered = device.call(() -> new GatheredRows(owned, tested, 100 * tested.rowBytes()));
            int[] visits = new int[1];
            device.run(() -> {
                gathered.load(lists, true);
                int[] next = {lists.start(1)};
                gathered.forEach(
                        lists.start(1), lists.count(1), Factor.ROOT_OF_WEIGHT, true, (rows, numbers, count) -> {
                            double[] found = Memory.doubles(device, rows, count * COLUMNS);
                            for (int x = 0; x < found.length; x++) {
                                int row = lists.order()[next[0] + x / COLUMNS];
                                double expected = Math.sqrt(weights[row]) * rows(matrix, row, 1)[x % COLUMNS];
                                assertEquals(expected, found[x], 0, "row " + row);
                            }
                            next[0] += count;
                            visits[0]++;
                        });
                assertEquals(lists.start(2), next[0]);
                gathered.forEach(lists.start(2), 5, Factor.ONE, false, (rows, numbers, count) -> {
                    float[] found = Memory.floats(device, rows, count * COLUMNS);
                    for (int i = 0; i < count; i++) {
                        int row = lists.order()[lists.start(2) + i];
                        assertArrayEquals(
                                rows(matrix, row, 1), Arrays.copyOfRange(found, i * COLUMNS, (i + 1) * COLUMNS));
                    }
                });
            });
            assertEquals(blocks, visits[0] > 1);
        }
    }
}
