package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Rate-distortion as a whole, on the reference backend. */
class RateDistortionTest {
    private static final DenseAlgebra ALGEBRA = new DenseAlgebra(new ReferenceBackend()::forEach);

    private final ReferenceBackend backend = new ReferenceBackend();
    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
        backend.close();
    }

    private static CompressionOptions to(double ratio) {
        return CompressionOptions.defaults().withTarget(SizeTarget.ratio(ratio));
    }

    private CompressionResult compress(Matrix matrix, long[] counts, Metric metric, CompressionOptions options) {
        return GroupReduce.compress(backend, matrix, counts, metric, options, arena, Progress.NONE);
    }

    @Test
    void theSizeIsNeverExceededAndHardlyAnyOfItWasted() {
        Matrix matrix = SoftmaxFixture.powerLaw(1, 2000, 24);
        long[] counts = SoftmaxFixture.counts(1, 2000);
        for (double ratio : new double[] {3, 15}) {
            CompressionOptions options = to(ratio).withGroups(1).withRefineRounds(1);
            CompressionResult result = compress(matrix, counts, null, options);
            long budget = SizeTarget.ratio(ratio).budget(matrix);
            assertTrue(result.matrix().bytes() <= budget, result.matrix().bytes() + " of " + budget);
            assertTrue(
                    result.matrix().bytes() >= 0.995 * budget, result.matrix().bytes() + " of " + budget);
        }
    }

    @Test
    void lossesFallStrictlyAndTheLastIsKept() {
        Matrix matrix = SoftmaxFixture.powerLaw(2, 800, 24);
        Metric metric = MetricRoot.hiddenMoment(
                ALGEBRA, SoftmaxFixture.softmax(3, matrix).hidden());
        CompressionResult result = compress(matrix, SoftmaxFixture.counts(2, 800), metric, to(8).withRefineRounds(8));
        List<Double> losses = result.summary().refinement();
        assertTrue(losses.size() > 1, losses.toString());
        for (int r = 1; r < losses.size(); r++) {
            assertTrue(losses.get(r) < losses.get(r - 1), losses.toString());
        }
        assertEquals(losses.getLast(), result.summary().loss());
    }

    @Test
    void theReportedLossIsThatOfWhatIsStored() {
        Matrix matrix = SoftmaxFixture.powerLaw(4, 400, 24);
        long[] counts = SoftmaxFixture.counts(4, 400);
        Metric known = MetricRoot.hiddenMoment(
                ALGEBRA, SoftmaxFixture.softmax(5, matrix).hidden());
        for (Metric metric : new Metric[] {null, known}) {
            MetricRoot root = metric == null ? null : MetricRoot.of(ALGEBRA, metric);
            double alpha = metric == null ? 0.5 : 1;
            CompressionResult result = compress(matrix, counts, metric, to(7).withAlpha(alpha));
            assertEquals(
                    lossByHand(matrix, counts, alpha, root, result.matrix()),
                    result.summary().loss(),
                    1e-5 * result.summary().loss());
            assertEquals(
                    lossByHand(matrix, counts, alpha, root, null),
                    result.summary().energy(),
                    1e-5 * result.summary().energy());
        }
    }

    /** sum_i w_i ||(A_i - A^_i) S||^2 in doubles; {@code null} stands for zeros. */
    private static double lossByHand(
            Matrix matrix, long[] counts, double alpha, MetricRoot metric, CompressedMatrix approximation) {
        int columns = matrix.columns();
        float[] row = new float[columns];
        float[] decoded = new float[columns];
        double sum = 0;
        double weights = 0;
        for (int i = 0; i < matrix.rows(); i++) {
            matrix.readRow(i, row, 0);
            if (approximation != null) {
                approximation.decodeRows(i, 1, decoded, 0);
            }
            double energy = 0;
            for (int j = 0; j < columns; j++) {
                double y = metric == null ? row[j] - decoded[j] : 0;
                for (int k = 0; metric != null && k < columns; k++) {
                    y += (row[k] - decoded[k]) * metric.root()[k * columns + j];
                }
                energy += y * y;
            }
            double weight = Math.pow(counts[i] + 1, alpha);
            sum += weight * energy;
            weights += weight;
        }
        return sum * matrix.rows() / weights;
    }

    /** Without rounding of coordinates every step of the alternation minimises one objective. */
    @Test
    void atAFixedPriceTheObjectiveNeverRises() {
        Matrix matrix = SoftmaxFixture.powerLaw(6, 400, 24);
        MetricRoot metric =
                MetricRoot.ofHidden(ALGEBRA, SoftmaxFixture.softmax(7, matrix).hidden());
        CompressionTask task = new CompressionTask(backend, matrix, SoftmaxFixture.counts(6, 400), metric, null, to(2));
        SizeModel model = new SizeModel("m", SizeUnit.BYTES, 24, 0, Codec.F32, ScaleScheme.COMPACT);
        StartingBases start = StartingBases.of(task, 2);
        StoragePlans.Wanted wanted = new StoragePlans.Wanted(Optional.of(Codec.F32), List.of(Codec.F32), 48, 60, 0);
        StoragePlans plans = StoragePlans.of(start.spectra(), null, wanted, model);
        try (CompressionWorkspace workspace = task.open(Weights.raw(task.counts(), 0.5))) {
            List<Directions> bases = start.directions();
            double price = workspace.energy() / (400 * 24 * 30);
            double before = Double.POSITIVE_INFINITY;
            byte[] groupOf = new byte[400];
            for (int round = 0; round < 8; round++) {
                workspace.rate(bases, plans.plans());
                Choice choice = workspace.choose(price, plans.costs(), groupOf);
                double bytes = 0;
                List<EncodedMatrix> left = new ArrayList<>();
                int[] ranks = new int[2];
                for (int p = 0; p < plans.plans().size(); p++) {
                    GroupPlan plan = plans.plans().get(p);
                    bytes += choice.rows()[p] * plans.costs()[p];
                    left.add(
                            plan.isZero()
                                    ? null
                                    : EncodedMatrix.allocate(
                                            arena,
                                            BitProfile.of(Codec.F32, plan.rank()),
                                            choice.rows()[p],
                                            plan.rank()));
                    if (plan.isLowRank()) {
                        ranks[plan.basis()] = 24;
                    }
                }
                double chosen = choice.distortion() + price * bytes;
                assertTrue(chosen <= before * (1 + 1e-6), "round " + round + ": " + chosen + " after " + before);
                workspace.encodeLeft(groupOf, plans.plans(), bases, left);
                List<NormalEquations> equations = workspace.normalEquations(groupOf, plans.plans(), ranks, left);
                List<EncodedMatrix> right = new ArrayList<>();
                List<Directions> renewed = new ArrayList<>();
                for (int b = 0; b < 2; b++) {
                    double[] fitted = RightFactor.fit(ALGEBRA, equations.get(b), 24, Codec.F32);
                    EncodedMatrix stored = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, 24), 24, 24);
                    for (int k = 0; k < 24; k++) {
                        stored.encodeRow(k, RightFactor.floats(fitted), k * 24);
                    }
                    right.add(stored);
                    renewed.add(RightFactor.directions(
                            ALGEBRA, fitted, 24, 24, metric, bases.get(b).scales()));
                }
                CompressedMatrix stored = new CompressedMatrix("m", 24, groupOf.clone(), plans.plans(), left, right);
                double measured = workspace.loss(stored).weighted() + price * bytes;
                assertTrue(measured <= chosen * (1 + 1e-6), "fit " + round + ": " + measured + " after " + chosen);
                before = measured;
                bases = renewed;
            }
        }
    }

    @Test
    void itBeatsGroupReduceUnderAMetricAtTheSameBytes() {
        Matrix matrix = SoftmaxFixture.powerLaw(8, 500, 24);
        long[] counts = SoftmaxFixture.counts(8, 500);
        Metric metric = MetricRoot.hiddenMoment(
                ALGEBRA, SoftmaxFixture.softmax(9, matrix).hidden());
        for (double ratio : new double[] {6.6, 12}) {
            CompressionOptions options = to(ratio).withAlpha(1);
            CompressionResult paper = compress(
                    matrix,
                    counts,
                    metric,
                    options.withMethod(Method.GROUPREDUCE).withCodec(Codec.INT8));
            CompressionResult ours = compress(
                    matrix,
                    counts,
                    metric,
                    to(ratio)
                            .withAlpha(1)
                            .withTarget(SizeTarget.bytes(paper.matrix().bytes())));
            assertTrue(ours.matrix().bytes() <= paper.matrix().bytes());
            assertEquals(
                    paper.summary().energy(),
                    ours.summary().energy(),
                    1e-9 * paper.summary().energy());
            assertTrue(
                    ours.summary().loss() < 0.6 * paper.summary().loss(),
                    ours.summary().loss() + " against " + paper.summary().loss());
        }
    }

    @Test
    void theSameInputGivesTheSameBytes() {
        Matrix matrix = SoftmaxFixture.powerLaw(10, 400, 24);
        SoftmaxData softmax = SoftmaxFixture.softmax(11, matrix);
        long[] counts = SoftmaxFixture.counts(10, 400);
        CompressedMatrix[] runs = new CompressedMatrix[2];
        for (int run = 0; run < 2; run++) {
            runs[run] = GroupReduce.compress(backend, matrix, counts, null, softmax, to(7), arena, Progress.NONE)
                    .matrix();
        }
        assertArrayEquals(runs[0].groupOf(), runs[1].groupOf());
        assertEquals(runs[0].groups(), runs[1].groups());
        for (int g = 0; g < runs[0].groups().size(); g++) {
            assertSameBytes(runs[0].left(g), runs[1].left(g));
        }
        assertEquals(runs[0].bases(), runs[1].bases());
        for (int b = 0; b < runs[0].bases(); b++) {
            assertSameBytes(runs[0].right(b), runs[1].right(b));
        }
    }

    private static void assertSameBytes(EncodedMatrix a, EncodedMatrix b) {
        if (a == null || b == null) {
            assertEquals(a, b);
            return;
        }
        assertArrayEquals(a.data().toArray(ValueLayout.JAVA_BYTE), b.data().toArray(ValueLayout.JAVA_BYTE));
        if (a.scales() != null) {
            assertArrayEquals(
                    a.scales().toArray(ValueLayout.JAVA_BYTE), b.scales().toArray(ValueLayout.JAVA_BYTE));
        }
    }

    @Test
    void aLossThatIsAimedAtIsMetOnTheHeldOutStates() {
        Matrix matrix = SoftmaxFixture.powerLaw(12, 400, 24);
        SoftmaxData softmax = SoftmaxFixture.softmax(13, matrix);
        long last = 0;
        for (double increase : new double[] {0.05, 0.01}) {
            CompressionOptions options = CompressionOptions.defaults().withMaxLossIncrease(increase);
            CompressedMatrix small = GroupReduce.compress(
                            backend,
                            matrix,
                            SoftmaxFixture.counts(12, 400),
                            null,
                            softmax,
                            options,
                            arena,
                            Progress.NONE)
                    .matrix();
            SoftmaxData judged = softmax.judged(1000);
            Evaluation evaluation =
                    GroupReduce.evaluate(backend, matrix, null, small, judged.hidden(), judged.targets());
            double rise = evaluation.lossIncrease();
            assertTrue(rise <= increase, rise + " of " + increase);
            assertTrue(small.bytes() < matrix.bytes() / 2, "bytes " + small.bytes());
            assertTrue(small.bytes() > last, "a smaller loss takes more bytes");
            last = small.bytes();
        }
    }

    @Test
    void aLossThatNoSizeReachesIsRefused() {
        Matrix matrix = SoftmaxFixture.powerLaw(26, 400, 24);
        SoftmaxData softmax = SoftmaxFixture.softmax(27, matrix);
        // INT3 alone loses more than a millionth whatever the size.
        CompressionOptions options =
                CompressionOptions.defaults().withMaxLossIncrease(1e-6).withCodec(Codec.INT3);
        InvalidDataException e = assertThrows(
                InvalidDataException.class,
                () -> GroupReduce.compress(backend, matrix, null, null, softmax, options, arena, Progress.NONE));
        assertTrue(e.getMessage().contains("allow more"), e.getMessage());
    }

    @Test
    void whatNeedsHiddenStatesSaysSo() {
        Matrix matrix = SoftmaxFixture.powerLaw(16, 50, 4);
        for (CompressionOptions options : List.of(
                CompressionOptions.defaults().withCalibrationEpochs(1),
                CompressionOptions.defaults().withMaxLossIncrease(0.01))) {
            InvalidOptionException e =
                    assertThrows(InvalidOptionException.class, () -> compress(matrix, null, null, options));
            assertTrue(e.getMessage().contains("--hidden"), e.getMessage());
        }
        assertThrows(
                InvalidOptionException.class, () -> CompressionOptions.paper().withMaxLossIncrease(0.01));
        assertThrows(InvalidOptionException.class, () -> CompressionOptions.defaults()
                .withGroups(17));
    }

    @Test
    void theExponentIsSearchedOnlyWhereItIsOpenAndHiddenStatesAreKnown() {
        Matrix matrix = SoftmaxFixture.powerLaw(17, 400, 24);
        SoftmaxData softmax = SoftmaxFixture.softmax(18, matrix);
        long[] counts = SoftmaxFixture.counts(17, 400);
        Set<String> steps = new TreeSet<>();
        double[] furthest = {0};
        Progress progress = (step, done) -> {
            assertTrue(done >= furthest[0], step + " went back from " + furthest[0] + " to " + done);
            furthest[0] = done == 1 ? 0 : done;
            steps.add(step.replaceAll("[0-9.]+$", ""));
        };
        double found = GroupReduce.compress(backend, matrix, counts, null, softmax, to(8), arena, progress)
                .summary()
                .options()
                .alpha()
                .orElseThrow();
        assertTrue(Set.of(0.25, 0.35, 0.5, 0.65, 0.8, 1.0).contains(found), "alpha " + found);
        assertTrue(steps.contains("weights, exponent "), steps.toString());
        steps.clear();
        CompressionResult given =
                GroupReduce.compress(backend, matrix, counts, null, softmax, to(8).withAlpha(0.3), arena, progress);
        assertEquals(0.3, given.summary().options().alpha().orElseThrow());
        CompressionResult blind = GroupReduce.compress(backend, matrix, counts, null, null, to(8), arena, progress);
        assertEquals(0.5, blind.summary().options().alpha().orElseThrow());
        assertFalse(steps.contains("weights, exponent "), steps.toString());
    }

    /** Frequent rows in some directions, rare ones in others: two bases cost more than one, and pay. */
    @Test
    void asManyBasesAsPay() {
        int rows = 1000;
        float[] values = new float[rows * 16];
        long[] counts = new long[rows];
        float[] narrow = new float[rows * 8];
        SoftmaxFixture.powerLaw(19, rows, 8).readRows(0, rows, narrow, 0);
        for (int i = 0; i < rows; i++) {
            counts[i] = 1 - i % 2;
            System.arraycopy(narrow, i * 8, values, i * 16 + i % 2 * 8, 8);
        }
        assertTrue(compress(Matrix.of("two", values, rows, 16), counts, null, to(8))
                        .matrix()
                        .bases()
                >= 2);
        Matrix one = SoftmaxFixture.powerLaw(20, 300, 16);
        assertEquals(
                1,
                compress(one, SoftmaxFixture.counts(20, 300), null, to(8))
                        .matrix()
                        .bases());
        CompressionResult asked = compress(one, SoftmaxFixture.counts(20, 300), null, to(4).withGroups(3));
        assertTrue(asked.matrix().bases() >= 1 && asked.matrix().bases() <= 3);
    }

    @Test
    void frequentTokensKeepMore() {
        Matrix matrix = SoftmaxFixture.powerLaw(21, 400, 24);
        long[] counts = SoftmaxFixture.counts(21, 400);
        CompressedMatrix small = compress(matrix, counts, null, to(15)).matrix();
        double[] ranks = new double[2];
        int[] rows = new int[2];
        for (int i = 0; i < 400; i++) {
            int kind = counts[i] >= 100 ? 1 : 0;
            ranks[kind] += small.groups().get(small.group(i)).rank();
            rows[kind]++;
        }
        double frequent = ranks[1] / rows[1];
        double rare = ranks[0] / rows[0];
        assertTrue(frequent > rare + 2, "mean ranks " + frequent + " and " + rare);
    }

    @Test
    void aLossThatNoSizeMeetsIsRefused() {
        Matrix matrix = SoftmaxFixture.powerLaw(30, 200, 16);
        // States so long that the dense softmax is certain of its targets: its loss is 0, and one flip is too much.
        int states = 400;
        float[] hidden = new float[states * 16];
        SoftmaxFixture.powerLaw(31, states, 16).readRows(0, states, hidden, 0);
        float[] row = new float[16];
        int[] targets = new int[states];
        for (int t = 0; t < states; t++) {
            double best = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < 200; i++) {
                matrix.readRow(i, row, 0);
                double logit = 0;
                for (int j = 0; j < 16; j++) {
                    logit += (double) row[j] * hidden[t * 16 + j];
                }
                if (logit > best) {
                    best = logit;
                    targets[t] = i;
                }
            }
        }
        for (int j = 0; j < hidden.length; j++) {
            hidden[j] *= 1e5f;
        }
        SoftmaxData softmax = new SoftmaxData(Matrix.of("certain", hidden, states, 16), targets, null);
        CompressionOptions options =
                CompressionOptions.defaults().withCodec(Codec.INT3).withAlpha(0).withMaxLossIncrease(0.01);
        try (ComputeBackend backend = new ReferenceBackend();
                Arena arena = Arena.ofShared()) {
            InvalidDataException e = assertThrows(
                    InvalidDataException.class,
                    () -> GroupReduce.compress(backend, matrix, null, null, softmax, options, arena, Progress.NONE));
            assertTrue(e.getMessage().contains("allow more"), e.getMessage());
        }
    }
}
