package io.groupreduce.cuda.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.compress.Memory;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The comparison on the card finds what the reference finds, whatever the tiles and however the states are split. */
@Tag("gpu")
class CudaSoftmaxPairTest {
    private static final int ONE_TILE = 16_384;

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    private static TokenScores compare(SoftmaxComparison task, int tileRows) {
        try (TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
            return compare(backend, task, tileRows);
        }
    }

    private static TokenScores compare(TrainingBackend backend, SoftmaxComparison task, int tileRows) {
        return CudaSoftmaxPair.compare(TestDevice.open(), backend.blas(), task, tileRows);
    }

    private static void check(TrainingCase c, SoftmaxComparison task, int tileRows) {
        TokenScores expected = new ReferenceBackend().compare(task);
        TokenScores actual = compare(task, tileRows);
        int k = task.topK();
        for (int t = 0; t < task.hidden().rows(); t++) {
            String what = c.at("state " + t + ", tiles of " + tileRows);
            assertEquals(expected.denseLogSumExp()[t], actual.denseLogSumExp()[t], 3e-6, what);
            assertEquals(expected.compressedLogSumExp()[t], actual.compressedLogSumExp()[t], 3e-6, what);
            assertEquals(expected.expectedGap()[t], actual.expectedGap()[t], 1e-5, what);
            if (task.targets() != null) {
                assertEquals(expected.denseTargetLogit()[t], actual.denseTargetLogit()[t], 1e-5, what);
                assertEquals(expected.compressedTargetLogit()[t], actual.compressedTargetLogit()[t], 1e-5, what);
            }
        }
        assertEquals(task.targets() == null, actual.denseTargetLogit() == null);
        assertEquals(task.targets() == null, actual.compressedTargetLogit() == null);
        assertAgree(expected.denseTop(), actual.denseTop(), c.at("dense top " + k));
        assertAgree(expected.compressedTop(), actual.compressedTop(), c.at("compressed top " + k));
    }

    /** Logits that differ by rounding alone may swap. */
    private static void assertAgree(int[] expected, int[] actual, String what) {
        assertEquals(expected.length, actual.length, what);
        long same = IntStream.range(0, expected.length)
                .filter(i -> expected[i] == actual[i])
                .count();
        assertTrue(same >= 0.98 * expected.length, what + ": " + same + " of " + expected.length + " agree");
    }

    @Test
    void itMatchesTheReference() {
        DType[] types = {DType.F32, DType.BF16, DType.F16};
        for (long seed = 1; seed <= 4; seed++) {
            try (Arena arena = Arena.ofShared()) {
                TrainingCase c = new TrainingCase(arena, seed, 300 + 37 * (int) seed, types[(int) seed % 3]);
                for (int k : new int[] {0, 1, 10}) {
                    check(c, c.comparison(19, k), ONE_TILE);
                    check(c, c.comparison(19, k), 100);
                }
            }
        }
    }

    @Test
    void aListMayHoldTheWholeVocabulary() {
        try (Arena arena = Arena.ofShared()) {
            TrainingCase c = new TrainingCase(arena, 5, 150, DType.F32);
            check(c, c.comparison(3, 150), ONE_TILE);
            check(c, c.comparison(3, 149), 64);
            check(c, c.comparison(3, 65), 64);
        }
    }

    @Test
    void manyStatesAreTakenInParts() {
        try (Arena arena = Arena.ofShared()) {
            TrainingCase c = new TrainingCase(arena, 7, 70, DType.F32);
            check(c, c.comparison(2100, 2), 40);
        }
    }

    /** Small integers make exact sums, and so real ties. */
    @Test
    void tiesGoToTheLowerToken() {
        int rows = 90;
        int columns = 4;
        int k = 40;
        try (Arena arena = Arena.ofShared()) {
            EncodedMatrix stored = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, columns), rows, columns);
            float[] values = new float[rows * columns];
            for (int i = 0; i < rows; i++) {
                values[i * columns] = i * 7 % 5;
                stored.encodeRow(i, values, i * columns);
            }
            CompressedMatrix same = new CompressedMatrix(
                    "ties",
                    columns,
                    new byte[rows],
                    List.of(GroupPlan.dense(columns, Codec.F32)),
                    List.of(stored),
                    List.of());
            Matrix hidden = Matrix.of("hidden", new float[] {1, 0, 0, 0, -1, 0, 0, 0}, 2, columns);
            SoftmaxComparison task =
                    new SoftmaxComparison(Matrix.of("dense", values, rows, columns), null, same, null, hidden, null, k);
            TokenScores expected = new ReferenceBackend().compare(task);
            for (int tileRows : new int[] {ONE_TILE, 32}) {
                TokenScores actual = compare(task, tileRows);
                assertArrayEquals(expected.denseTop(), actual.denseTop());
                assertArrayEquals(expected.compressedTop(), actual.compressedTop());
            }
        }
    }

    @Test
    @Tag("emulated")
    void aMatrixThatDoesNotFitIsStreamed() {
        for (DType type : new DType[] {DType.F32, DType.BF16}) {
            try (Arena arena = Arena.ofShared();
                    TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
                TrainingCase c = new TrainingCase(arena, 9, 30_000, type);
                SoftmaxComparison task = c.comparison(2, 5);
                TokenScores resident = compare(backend, task, 1024);
                AtomicReference<TokenScores> streamed = new AtomicReference<>();
                // Everything but the matrix takes 9 MB, the matrix 1.6 or 3.2 MB.
                Memory.withAvailable(TestDevice.open(), 10L << 20, () -> streamed.set(compare(backend, task, 1024)));
                assertNotNull(streamed.get());
                assertArrayEquals(resident.denseLogSumExp(), streamed.get().denseLogSumExp());
                assertArrayEquals(resident.compressedLogSumExp(), streamed.get().compressedLogSumExp());
                assertArrayEquals(resident.expectedGap(), streamed.get().expectedGap());
                assertArrayEquals(resident.denseTop(), streamed.get().denseTop());
            }
        }
    }

    @Test
    @Tag("emulated")
    void aCardThatIsTooSmallIsAnErrorThatLeavesNothingBehind() {
        try (Arena arena = Arena.ofShared();
                TrainingBackend backend = new TrainingBackend(TestDevice.open())) {
            TrainingCase c = new TrainingCase(arena, 2, 3000, DType.F32);
            SoftmaxComparison task = c.comparison(2, 5);
            Memory.withFree(TestDevice.open(), 2L << 20, () -> {
                OutOfDeviceMemoryException e =
                        assertThrows(OutOfDeviceMemoryException.class, () -> compare(backend, task, ONE_TILE));
                assertTrue(e.getMessage().contains("a tile"), e.getMessage());
            });
        }
    }
}
