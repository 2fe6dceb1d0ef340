package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.TestProfiles;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Normal equations in one pass and basis by basis, in double and in single precision, and of bases without rows. */
@Tag("gpu")
class CudaRightEquationsTest {
    private static final int ROWS = 5000;
    private static final int COLUMNS = 23;
    private static final int[] RANKS = {9, 0, COLUMNS, 4, 6};
    private static final Matrix MATRIX = Generators.matrix(13, ROWS, COLUMNS, 0.6);

    /** The fourth basis has no rows, the second no coordinates; the third has two groups of ranks far apart. */
    private static final List<GroupPlan> GROUPS = List.of(
            GroupPlan.of(2, 3, Codec.INT4),
            GroupPlan.of(4, 6, Codec.BF16),
            GroupPlan.dense(COLUMNS, Codec.INT8),
            new GroupPlan(0, TestProfiles.falling(5, 8)),
            GroupPlan.of(2, COLUMNS, Codec.INT8),
            GroupPlan.of(1, 0, Codec.F32),
            GroupPlan.of(0, 7, Codec.F32),
            GroupPlan.zero());

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    private static float[] weights() {
        float[] weights = new float[ROWS];
        for (int i = 0; i < ROWS; i++) {
            weights[i] = i % 11 == 0 ? 0 : 30f / (10 + i % 200);
        }
        return weights;
    }

    private static byte[] groupOf() {
        SplittableRandom random = new SplittableRandom(7);
        byte[] groupOf = new byte[ROWS];
        for (int i = 0; i < ROWS; i++) {
            // The first groups of the third basis are the longest, so that it makes two runs.
            int g = random.nextInt(2 * GROUPS.size());
            groupOf[i] = (byte) (g < GROUPS.size() ? g : 4);
        }
        return groupOf;
    }

    private static List<EncodedMatrix> left(byte[] groupOf, Arena arena) {
        int[] sizes = new int[GROUPS.size()];
        for (byte g : groupOf) {
            sizes[g]++;
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = GROUPS.get(g);
            EncodedMatrix matrix =
                    plan.isZero() ? null : EncodedMatrix.allocate(arena, plan.profile(), sizes[g], plan.rank());
            float[] values = Generators.powerLaw(g, sizes[g], Math.max(1, plan.rank()), 0.5);
            for (int i = 0; matrix != null && i < sizes[g]; i++) {
                matrix.encodeRow(i, values, i * plan.rank());
            }
            left.add(matrix);
        }
        return left;
    }

    private static List<NormalEquations> equations(Device device, boolean basisByBasis, Arena arena) {
        byte[] groupOf = groupOf();
        List<EncodedMatrix> left = left(groupOf, arena);
        return device.call(() -> {
            try (Owned owned = new Owned(device)) {
                return (basisByBasis ? sums(owned, () -> 1) : sums(owned, () -> device.availableMemory() / 2))
                        .of(groupOf, GROUPS, RANKS, left);
            }
        });
    }

    private static CudaRightEquations sums(Owned owned, LongSupplier room) {
        DeviceMatrix matrix = new DeviceMatrix(owned, MATRIX, weights());
        GatheredRows gathered = new GatheredRows(owned, matrix);
        ProductSums sums = new ProductSums(owned, owned.add(new Cublas(owned.device())));
        return new CudaRightEquations(owned.device(), matrix, gathered, sums, room);
    }

    private static List<NormalEquations> expected(Arena arena) {
        byte[] groupOf = groupOf();
        try (CompressionWorkspace reference =
                new ReferenceBackend().open(CompressionProblem.weighted(MATRIX, weights()))) {
            return reference.normalEquations(groupOf, GROUPS, RANKS, left(groupOf, arena));
        }
    }

    private static void check(List<NormalEquations> expected, List<NormalEquations> found, double tolerance) {
        assertEquals(RANKS.length, found.size());
        for (int b = 0; b < RANKS.length; b++) {
            double largest = RANKS[b] == 0 ? 0 : expected.get(b).gram()[0];
            assertEquals(RANKS[b], found.get(b).rank());
            double[] gram = found.get(b).gram();
            double[] cross = found.get(b).cross();
            assertEquals(0, Memory.distance(expected.get(b).gram(), gram), tolerance * largest, "gram of basis " + b);
            assertEquals(
                    0, Memory.distance(expected.get(b).cross(), cross), tolerance * largest, "cross of basis " + b);
        }
    }

    @Test
    void sumsAreThoseOfTheReferenceHoweverManyPassesTheyTake() {
        try (Arena arena = Arena.ofShared()) {
            List<NormalEquations> expected = expected(arena);
            List<NormalEquations> together = equations(TestDevice.open(), false, arena);
            List<NormalEquations> apart = equations(TestDevice.open(), true, arena);
            check(expected, together, TestDevice.emulated() ? 1e-12 : 1e-6);
            for (int b = 0; b < RANKS.length; b++) {
                assertArrayEquals(together.get(b).gram(), apart.get(b).gram());
                assertArrayEquals(together.get(b).cross(), apart.get(b).cross());
            }
        }
    }

    @Test
    @Tag("emulated")
    void theyAreNearlySoWhereDoubleIsSlow() {
        CudaLibraries libraries = TestDevice.libraries();
        EmulatedDriver.withAttribute(libraries, EmulatedDriver.SINGLE_TO_DOUBLE, 64, () -> {
            try (Device device = Device.open(libraries, 0);
                    Arena arena = Arena.ofShared()) {
                check(expected(arena), equations(device, false, arena), 1e-5);
            }
        });
    }

    @Test
    void anErrorHalfWayLeavesNothing() {
        Device device = TestDevice.open();
        StackOverflowError error = new StackOverflowError("planted");
        byte[] groupOf = groupOf();
        try (Arena arena = Arena.ofShared()) {
            List<EncodedMatrix> left = left(groupOf, arena);
            device.run(() -> {
                try (Owned owned = new Owned(device)) {
                    CudaRightEquations sums = sums(owned, () -> {
                        throw error;
                    });
                    long before = device.openAllocations();
                    assertSame(
                            error, assertThrows(StackOverflowError.class, () -> sums.of(groupOf, GROUPS, RANKS, left)));
                    owned.release();
                    assertEquals(before, device.openAllocations());
                }
            });
        }
        TestDevice.assertNothingLeaked();
    }
}
