package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.TestProfiles;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Stored rows have the bytes that the host gives the same numbers: every profile, block and format of scales. */
@Tag("gpu")
class EncodingTest {
    private static final int ROWS = 700;

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    /** Groups of rows and what is to be stored of them. */
    private static final class Case {
        final Matrix matrix;
        final List<GroupPlan> groups = new ArrayList<>();
        final List<Directions> bases = new ArrayList<>();
        final List<EncodedMatrix> expected = new ArrayList<>();
        final List<EncodedMatrix> found = new ArrayList<>();
        final byte[] groupOf = new byte[ROWS];
        private final List<int[]> shapes = new ArrayList<>();

        Case(Matrix matrix) {
            this.matrix = matrix;
        }

        /** Adds a group whose scales belong to {@code block} numbers each. */
        void add(int basis, BitProfile profile, int block, ScaleFormat format) {
            groups.add(new GroupPlan(basis, profile));
            shapes.add(new int[] {block, format.ordinal()});
        }

        /** Deals the rows to the groups, all but the last, and encodes them on the host. */
        void fill(Arena arena, long seed) {
            SplittableRandom random = new SplittableRandom(seed);
            int[] sizes = new int[groups.size()];
            for (int i = 0; i < ROWS; i++) {
                groupOf[i] = (byte) random.nextInt(groups.size() - 1);
                sizes[groupOf[i] & 0xff]++;
            }
            for (int g = 0; g < sizes.length; g++) {
                expected.add(allocate(arena, g, sizes[g]));
                found.add(allocate(arena, g, sizes[g]));
            }
            int[] next = new int[sizes.length];
            float[] row = new float[matrix.columns()];
            for (int i = 0; i < ROWS; i++) {
                int g = groupOf[i] & 0xff;
                GroupPlan plan = groups.get(g);
                if (!plan.isZero()) {
                    matrix.readRow(i, row, 0);
                    encode(plan, row, expected.get(g), next[g]++);
                }
            }
        }

        private EncodedMatrix allocate(Arena arena, int g, int rows) {
            GroupPlan plan = groups.get(g);
            ScaleFormat format = ScaleFormat.values()[shapes.get(g)[1]];
            return plan.isZero() ? null : EncodedMatrix.allocate(arena, plan.profile(), rows, shapes.get(g)[0], format);
        }

        /** Bases are unit vectors: coordinate j is number {@code basis + j}, added to zeros, which makes 0 of -0. */
        private void encode(GroupPlan plan, float[] row, EncodedMatrix target, int slot) {
            if (plan.isDense()) {
                target.encodeRow(slot, row, 0, null);
                return;
            }
            float[] scales = bases.get(plan.basis()).scales();
            float[] stored = new float[plan.rank()];
            float[] weights = new float[plan.rank()];
            for (int j = 0; j < stored.length; j++) {
                stored[j] = (row[plan.basis() + j] + 0f) * (scales == null ? 1 : scales[j]);
                weights[j] = scales == null ? 1 : (float) (1 / ((double) scales[j] * scales[j]));
            }
            target.encodeRow(slot, stored, 0, scales == null ? null : weights);
        }

        void check() {
            for (int g = 0; g < groups.size(); g++) {
                EncodedMatrix e = expected.get(g);
                if (e == null) {
                    continue;
                }
                String what = "group " + g + ", " + groups.get(g) + ", block " + e.block() + ", " + e.scaleFormat();
                if (e.scales() != null) {
                    assertArrayEquals(bytes(e.scales()), bytes(found.get(g).scales()), "scales of " + what);
                }
                assertArrayEquals(bytes(e.data()), bytes(found.get(g).data()), "numbers of " + what);
            }
        }

        private static byte[] bytes(MemorySegment segment) {
            return segment.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** Rows of very different sizes, some of them or parts of them zero, some with an outlier. */
    private static Matrix matrix(int columns) {
        float[] values = Generators.powerLaw(3, ROWS, columns, 0.5);
        Generators.plantOutliers(4, values, 40, 25);
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < ROWS; i++) {
            float size = (float) Math.pow(2, random.nextInt(9) == 0 ? -140 + random.nextInt(250) : -random.nextInt(8));
            for (int j = 0; j < columns; j++) {
                values[i * columns + j] *= random.nextInt(40) == 0 ? 0 : size;
            }
        }
        Arrays.fill(values, 6 * columns, 7 * columns, 0);
        // Scales on both sides of the least that is not subnormal.
        for (int x = 7 * columns; x < ROWS / 2 * columns; x += 5 * columns) {
            for (int j = 0; j < columns; j++) {
                values[x + j] = (j % 7 - 3) * 0x1p-122f / (1 + x / columns);
            }
        }
        return Matrix.of("test rows", values, ROWS, columns);
    }

    private static Directions units(int basis, int rank, int columns, float[] scales) {
        float[] unit = new float[rank * columns];
        for (int k = 0; k < rank; k++) {
            unit[k * columns + basis + k] = 1;
        }
        return new Directions(rank, unit, unit, scales);
    }

    private static Case dense(int columns) {
        Case c = new Case(matrix(columns));
        for (BitProfile profile : TestProfiles.all(columns)) {
            for (ScaleFormat format : ScaleFormat.values()) {
                for (int block : new int[] {columns, 32, 5}) {
                    c.add(GroupPlan.DENSE, profile, block, format);
                }
            }
        }
        c.add(GroupPlan.ZERO, BitProfile.EMPTY, 1, ScaleFormat.F32);
        c.add(GroupPlan.DENSE, BitProfile.of(Codec.INT3, columns), 32, ScaleFormat.BF16);
        return c;
    }

    private static Case lowRank(int columns) {
        Case c = new Case(matrix(columns));
        for (int b = 0; b < 3; b++) {
            int rank = b == 1 ? 7 : columns - b;
            float[] scales = new float[rank];
            for (int j = 0; j < rank; j++) {
                scales[j] = 0.3f + 0.37f * j;
            }
            c.bases.add(units(b, rank, columns, b == 1 ? null : scales));
            for (int kept : new int[] {rank, 1, (rank + 1) / 2}) {
                for (BitProfile profile : TestProfiles.all(kept)) {
                    for (ScaleFormat format : ScaleFormat.values()) {
                        c.add(b, profile, kept, format);
                    }
                }
            }
        }
        c.add(1, BitProfile.EMPTY, 0, ScaleFormat.LOG8);
        c.add(GroupPlan.DENSE, BitProfile.of(Codec.BF16, columns), columns, ScaleFormat.F32);
        c.add(GroupPlan.ZERO, BitProfile.EMPTY, 1, ScaleFormat.F32);
        c.add(2, BitProfile.of(Codec.INT8, 3), 3, ScaleFormat.F32);
        return c;
    }

    private static CompressionProblem problem(Matrix matrix) {
        float[] weights = new float[ROWS];
        Arrays.fill(weights, 1);
        return CompressionProblem.weighted(matrix, weights);
    }

    private static void check(Case c, Device device) {
        try (Arena arena = Arena.ofShared();
                CompressionBackend backend = new CompressionBackend(device);
                CompressionWorkspace workspace = backend.open(problem(c.matrix))) {
            c.fill(arena, 8);
            workspace.encodeLeft(c.groupOf, c.groups, c.bases, c.found);
            c.check();
        }
    }

    @Test
    void denseRowsHaveTheBytesOfTheHost() {
        for (int columns : new int[] {37, 64, 133}) {
            check(dense(columns), TestDevice.open());
        }
    }

    @Test
    void exactCoordinatesHaveTheBytesOfTheHost() {
        check(lowRank(61), TestDevice.open());
    }

    @Test
    @Tag("emulated")
    void shortBlocksOfRowsHaveThemToo() {
        Device device = TestDevice.open();
        try (Arena arena = Arena.ofShared();
                CompressionBackend backend = new CompressionBackend(device)) {
            Case c = lowRank(61);
            c.fill(arena, 9);
            Memory.withAvailable(device, 500_000, () -> {
                try (CompressionWorkspace workspace = backend.open(problem(c.matrix))) {
                    workspace.encodeLeft(c.groupOf, c.groups, c.bases, c.found);
                }
            });
            c.check();
        }
    }

    @Test
    void aFormHasTheEndsOfTheWidths() {
        GroupPlan falling = new GroupPlan(0, BitProfile.of(8, 6, 6, 3, 1));
        assertArrayEquals(new int[] {3, 5, 8, 5, 1, 1, 5, 4, 4, 3, 3, 3, 1, 1}, RowForm.of(falling, ScaleFormat.LOG8));
        GroupPlan blocks = GroupPlan.dense(40, Codec.INT4);
        assertArrayEquals(
                new int[] {20, 40, 4, 32, 2, 2, 40, 40, 40, 40, 0, 0, 0, 0}, RowForm.of(blocks, ScaleFormat.BF16));
        assertArrayEquals(
                new int[] {20, 5, 32, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                RowForm.of(GroupPlan.of(0, 5, Codec.F32), ScaleFormat.LOG8));
    }

    @Test
    void runsTakeEveryRowOnceAndGroupsOfSimilarRankTogether() {
        List<GroupPlan> groups = List.of(
                GroupPlan.of(1, 8, Codec.INT4),
                GroupPlan.of(0, 100, Codec.INT4),
                GroupPlan.zero(),
                GroupPlan.of(1, 64, Codec.INT8),
                GroupPlan.dense(200, Codec.BF16),
                GroupPlan.of(1, 50, Codec.INT3),
                GroupPlan.of(0, 0, Codec.F32));
        byte[] groupOf = new byte[30_000];
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = (byte) random.nextInt(groups.size());
        }
        RowRuns runs = new RowRuns(groupOf, groups, true);
        boolean[] seen = new boolean[groupOf.length];
        List<RowRuns.Run> order = new ArrayList<>();
        for (RowRuns.Block block : runs.blocks(1000)) {
            assertTrue(block.count() >= 1 && block.count() <= 1000);
            if (order.isEmpty() || order.getLast() != block.run()) {
                order.add(block.run());
            }
            for (int x = block.from(); x < block.from() + block.count(); x++) {
                int row = runs.lists().order()[x];
                assertTrue(!seen[row], "row " + row + " comes once");
                seen[row] = true;
                GroupPlan plan = groups.get(groupOf[row]);
                boolean stored = !plan.isZero() && plan.rank() > 0;
                assertEquals(stored ? plan.basis() : GroupPlan.ZERO, block.run().basis());
                assertTrue(plan.rank() <= block.run().width());
            }
        }
        for (boolean row : seen) {
            assertTrue(row, "every row comes");
        }
        assertArrayEquals(
                new int[] {100, 64, 8, 200, 0},
                order.stream().mapToInt(RowRuns.Run::width).toArray());
        assertArrayEquals(new int[] {100, 64}, runs.longest(2));
        assertEquals(
                4,
                new RowRuns(groupOf, groups, false).blocks(groupOf.length).size(),
                "runs that something is stored of");
    }
}
