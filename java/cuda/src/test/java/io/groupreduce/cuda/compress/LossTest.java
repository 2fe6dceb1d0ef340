package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Metric;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.TestProfiles;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** From rating to the loss of what was stored, with groups of every kind, and where memory is short. */
@Tag("gpu")
class LossTest {
    private static final int ROWS = 2300;
    private static final int COLUMNS = 41;
    private static final int[] RANKS = {COLUMNS, 6};

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    /** Rows along few directions; a bfloat16 is the upper half of each number. */
    private static Matrix matrix(DType type) {
        Matrix matrix = Generators.matrix(12, ROWS, COLUMNS, 0.8);
        if (type == DType.F32) {
            return matrix;
        }
        MemorySegment halves = MemorySegment.ofArray(new byte[2 * ROWS * COLUMNS]);
        for (int x = 0; x < ROWS * COLUMNS; x++) {
            MemorySegment.copy(matrix.data(), 4L * x + 2, halves, 2L * x, 2);
        }
        return Matrix.of("bf16", DType.BF16, ROWS, COLUMNS, halves);
    }

    private static CompressionProblem problem(DType type, boolean withMetric) {
        Matrix matrix = matrix(type);
        float[] weights = new float[ROWS];
        float[] others = new float[ROWS];
        for (int i = 0; i < ROWS; i++) {
            weights[i] = i % 13 == 0 ? 0 : 50f / (20 + i % 300);
            others[i] = i % 7;
        }
        if (!withMetric) {
            return new CompressionProblem(matrix, weights, others, null, null);
        }
        MetricRoot metric = MetricRoot.of(
                new DenseAlgebra(new ReferenceBackend()::forEach),
                new Metric("a test's metric", COLUMNS, Generators.moment(5, COLUMNS)));
        return new CompressionProblem(matrix, weights, others, metric.root(), metric.rootInverse());
    }

    /** Bases by the reference, so that all are given the same ones. */
    private static List<Directions> bases(CompressionProblem problem) {
        byte[] basisOf = new byte[ROWS];
        for (int i = 0; i < ROWS; i++) {
            basisOf[i] = (byte) (i % 2);
        }
        try (CompressionWorkspace reference = new ReferenceBackend().open(problem)) {
            reference.accumulate(basisOf, 2);
            reference.decompose(RANKS);
            float[] scales = new float[RANKS[1]];
            for (int k = 0; k < scales.length; k++) {
                scales[k] = 0.4f + 0.3f * k;
            }
            return List.of(
                    reference.directions(0, RANKS[0]),
                    reference.directions(1, RANKS[1]).withScales(scales));
        }
    }

    private static final List<GroupPlan> PLANS = List.of(
            GroupPlan.of(0, 4, Codec.INT8),
            GroupPlan.zero(),
            new GroupPlan(0, TestProfiles.falling(6, 12)),
            GroupPlan.of(0, COLUMNS, Codec.F32),
            GroupPlan.of(1, 5, Codec.INT3),
            GroupPlan.of(1, 6, Codec.BF16),
            GroupPlan.of(1, 0, Codec.INT4),
            GroupPlan.dense(COLUMNS, Codec.INT8),
            GroupPlan.dense(COLUMNS, Codec.BF16),
            new GroupPlan(1, BitProfile.of(3, 1)));

    private static double[] bytes() {
        return PLANS.stream()
                .mapToDouble(p -> p.isZero() ? 0 : p.profile().rowBytes() + 1)
                .toArray();
    }

    /** What the steps hand out. */
    private record Outcome(
            Choice choice, byte[] groupOf, List<NormalEquations> equations, CompressedMatrix stored, Loss loss) {}

    private static Outcome run(CompressionWorkspace workspace, List<Directions> bases, double price, Arena arena) {
        workspace.rate(bases, PLANS);
        byte[] groupOf = new byte[ROWS];
        Choice choice = workspace.choose(price, bytes(), groupOf);
        for (int i = 0; i < ROWS; i += 17) {
            groupOf[i] = (byte) (i % PLANS.size());
        }
        return store(workspace, bases, choice, groupOf, arena);
    }

    private static Outcome store(
            CompressionWorkspace workspace, List<Directions> bases, Choice choice, byte[] groupOf, Arena arena) {
        List<EncodedMatrix> left = new ArrayList<>();
        int[] sizes = new int[PLANS.size()];
        for (byte g : groupOf) {
            sizes[g]++;
        }
        for (int g = 0; g < PLANS.size(); g++) {
            GroupPlan plan = PLANS.get(g);
            int rank = plan.rank();
            left.add(
                    plan.isZero()
                            ? null
                            : EncodedMatrix.allocate(
                                    arena, plan.profile(), sizes[g], plan.isDense() ? 32 : rank, ScaleFormat.BF16));
        }
        workspace.encodeLeft(groupOf, PLANS, bases, left);
        List<EncodedMatrix> right = new ArrayList<>();
        for (Directions basis : bases) {
            EncodedMatrix factor =
                    EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, COLUMNS), basis.rank(), COLUMNS);
            for (int k = 0; k < basis.rank(); k++) {
                float[] row = new float[COLUMNS];
                for (int j = 0; j < COLUMNS; j++) {
                    row[j] = basis.right()[k * COLUMNS + j] / (basis.scales() == null ? 1 : basis.scales()[k]);
                }
                factor.encodeRow(k, row, 0);
            }
            right.add(factor);
        }
        CompressedMatrix stored = new CompressedMatrix("test", COLUMNS, groupOf, PLANS, left, right);
        List<NormalEquations> equations = workspace.normalEquations(groupOf, PLANS, RANKS, left);
        return new Outcome(choice, groupOf, equations, stored, workspace.loss(stored));
    }

    private static double price(CompressionProblem problem) {
        try (CompressionWorkspace reference = new ReferenceBackend().open(problem)) {
            return 0.01 * reference.energy() / ROWS;
        }
    }

    @Test
    void everyKindOfGroupLosesWhatTheReferenceSays() {
        for (DType type : new DType[] {DType.F32, DType.BF16}) {
            CompressionProblem problem = problem(type, type == DType.BF16);
            List<Directions> bases = bases(problem);
            try (Arena arena = Arena.ofShared();
                    CompressionBackend backend = new CompressionBackend(TestDevice.open());
                    CompressionWorkspace mine = backend.open(problem);
                    CompressionWorkspace reference = new ReferenceBackend().open(problem)) {
                Outcome found = run(mine, bases, price(problem), arena);
                assertTrue(
                        Arrays.stream(found.choice.rows())
                                        .filter(rows -> rows > 0)
                                        .count()
                                >= 6,
                        "groups are chosen");
                assertTrue(Arrays.stream(found.stored.groupSizes()).allMatch(rows -> rows > 0), "all have rows");
                assertClose(reference.loss(found.stored), found.loss, 1e-6);
            }
        }
    }

    @Test
    void aLossNearZeroIsMeasured() {
        for (boolean withMetric : new boolean[] {false, true}) {
            CompressionProblem problem = problem(DType.F32, withMetric);
            List<Directions> bases = bases(problem);
            byte[] groupOf = new byte[ROWS];
            Arrays.fill(groupOf, (byte) 3);
            try (Arena arena = Arena.ofShared();
                    CompressionBackend backend = new CompressionBackend(TestDevice.open());
                    CompressionWorkspace mine = backend.open(problem);
                    CompressionWorkspace reference = new ReferenceBackend().open(problem)) {
                Outcome found = store(mine, bases, null, groupOf, arena);
                double energy = reference.energy();
                double loss = found.loss.weighted();
                assertTrue(loss <= 1e-11 * energy, loss + " of " + energy);
                double expected = reference.loss(found.stored).weighted();
                assertEquals(expected, loss, 3 * expected + 1e-14 * energy, "rounding, in another order");
            }
        }
    }

    @Test
    @Tag("emulated")
    void littleMemoryChangesNothing() {
        Device device = TestDevice.open();
        for (boolean withMetric : new boolean[] {false, true}) {
            CompressionProblem problem = problem(DType.F32, withMetric);
            List<Directions> bases = bases(problem);
            double price = price(problem);
            try (Arena arena = Arena.ofShared();
                    CompressionBackend backend = new CompressionBackend(device);
                    CompressionWorkspace roomy = backend.open(problem)) {
                Outcome expected = run(roomy, bases, price, arena);
                // Neither the matrix nor the distortions stay on the card.
                Memory.withAvailable(device, 600_000, () -> {
                    try (CompressionWorkspace tight = backend.open(problem)) {
                        assertSame(expected, run(tight, bases, price, arena));
                    }
                });
                // The matrix was taken up while there was room; now others have taken that.
                Memory.withFree(device, 200_000, () -> assertSame(expected, run(roomy, bases, price, arena)));
            }
        }
    }

    private static void assertClose(Loss expected, Loss found, double slack) {
        assertEquals(expected.weighted(), found.weighted(), slack * expected.weighted());
        assertEquals(expected.counted(), found.counted(), slack * expected.counted());
        assertEquals(expected.countedEnergy(), found.countedEnergy(), slack * expected.countedEnergy());
    }

    private static void assertSame(Outcome expected, Outcome found) {
        assertArrayEquals(expected.groupOf, found.groupOf);
        assertArrayEquals(expected.choice.rows(), found.choice.rows());
        assertArrayEquals(expected.choice.distortions(), found.choice.distortions());
        assertClose(expected.loss, found.loss, 1e-9);
        for (int b = 0; b < RANKS.length; b++) {
            double[] gram = expected.equations.get(b).gram();
            double[] cross = expected.equations.get(b).cross();
            assertEquals(0, Memory.distance(gram, found.equations.get(b).gram()), 1e-12 * gram[0]);
            assertEquals(0, Memory.distance(cross, found.equations.get(b).cross()), 1e-9 * gram[0]);
        }
    }
}
