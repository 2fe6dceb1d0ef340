package io.groupreduce.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import io.groupreduce.testkit.Generators;
import io.groupreduce.vector.kernel.Numbers;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Whole steps at a width where the truncated solver works, with tiles and parts enough for several threads. */
@Tag("long")
class LargeWorkspaceTest {
    private static final int ROWS = 3001;
    private static final int COLUMNS = 301;
    private static final int[] RANKS = {40, 13};

    private final float[] values = Generators.powerLaw(1, ROWS, COLUMNS, 0.75);
    private final Matrix matrix = Matrix.of("rows", values, ROWS, COLUMNS);
    private final CompressionProblem problem = CompressionProblem.weighted(matrix, weights());

    private static float[] weights() {
        float[] weights = new float[ROWS];
        for (int i = 0; i < ROWS; i++) {
            weights[i] = 100f / (i + 10);
        }
        return weights;
    }

    /** Everything a compression hands out, as one string of numbers. */
    private record Outcome(double[] numbers, byte[] best, byte[][] stored, int[] top) {}

    private Outcome run(int threads) {
        try (ComputeBackend backend = new VectorBackend(threads);
                Arena arena = Arena.ofShared();
                CompressionWorkspace workspace = backend.open(problem)) {
            byte[] basisOf = new byte[ROWS];
            Arrays.fill(basisOf, ROWS / 4, ROWS, (byte) 1);
            workspace.accumulate(basisOf, 2);
            workspace.decompose(RANKS);
            byte[] best = new byte[ROWS];
            float[] gain = new float[ROWS];
            List<Candidate> candidates =
                    List.of(new Candidate(0, RANKS[0], 0.01), new Candidate(1, RANKS[1], 0), Candidate.dense(1));
            workspace.assign(candidates, basisOf, best, gain);
            byte[] second = best.clone();
            for (int i = 0; i < ROWS; i++) {
                second[i] = best[i] == 2 ? (byte) GroupPlan.DENSE : best[i];
            }
            workspace.accumulate(second, 2);
            List<Spectrum> spectra = workspace.decompose(RANKS);
            CompressedMatrix compressed = factorize(workspace, best, arena);
            double loss = workspace.loss(compressed).weighted();
            int states = 70;
            TokenScores scores = backend.compare(new SoftmaxComparison(
                    matrix,
                    null,
                    compressed,
                    null,
                    Matrix.of("hidden", Numbers.random(5, states * COLUMNS), states, COLUMNS),
                    null,
                    3));
            double[] numbers = new double[6 + 3 * states];
            numbers[0] = workspace.energy();
            numbers[1] = loss;
            numbers[2] = spectra.get(0).loss(RANKS[0]);
            numbers[3] = spectra.get(1).loss(RANKS[1]);
            numbers[4] = spectra.get(0).trace();
            numbers[5] = spectra.get(1).trace();
            System.arraycopy(scores.denseLogSumExp(), 0, numbers, 6, states);
            System.arraycopy(scores.compressedLogSumExp(), 0, numbers, 6 + states, states);
            System.arraycopy(scores.expectedGap(), 0, numbers, 6 + 2 * states, states);
            byte[][] stored = new byte[3][];
            for (int g = 0; g < 3; g++) {
                stored[g] = compressed.left(g).data().toArray(ValueLayout.JAVA_BYTE);
            }
            return new Outcome(numbers, best, stored, scores.compressedTop());
        }
    }

    private static CompressedMatrix factorize(CompressionWorkspace workspace, byte[] groupOf, Arena arena) {
        List<GroupPlan> plans = List.of(
                GroupPlan.of(0, RANKS[0], Codec.F32),
                GroupPlan.of(1, RANKS[1], Codec.F32),
                GroupPlan.dense(COLUMNS, Codec.F32));
        int[] sizes = new int[3];
        for (byte g : groupOf) {
            sizes[g]++;
        }
        List<EncodedMatrix> left = List.of(
                EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, RANKS[0]), sizes[0], RANKS[0]),
                EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, RANKS[1]), sizes[1], RANKS[1]),
                EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, COLUMNS), sizes[2], COLUMNS));
        List<Directions> bases = List.of(workspace.directions(0, RANKS[0]), workspace.directions(1, RANKS[1]));
        workspace.encodeLeft(groupOf, plans, bases, left);
        EncodedMatrix[] right = new EncodedMatrix[2];
        for (int b = 0; b < 2; b++) {
            right[b] = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, COLUMNS), RANKS[b], COLUMNS);
            for (int k = 0; k < RANKS[b]; k++) {
                right[b].encodeRow(k, bases.get(b).right(), k * COLUMNS);
            }
        }
        return new CompressedMatrix("rows", COLUMNS, groupOf, plans, left, List.of(right));
    }

    /** Bits from 6 down to 1. */
    private static BitProfile falling(int width) {
        return BitProfile.of(
                IntStream.range(0, width).map(j -> 6 - 6 * j / width).toArray());
    }

    /** Ranks that end inside panels, in groups whose rows fill several packings. */
    private static List<GroupPlan> plans() {
        return List.of(
                GroupPlan.of(0, 0, Codec.F32),
                GroupPlan.of(0, 17, Codec.INT3),
                new GroupPlan(0, falling(RANKS[0])),
                GroupPlan.of(1, RANKS[1], Codec.INT8),
                GroupPlan.dense(COLUMNS, Codec.INT8));
    }

    private record Rated(double distortion, byte[] groupOf, double lost, List<NormalEquations> equations) {}

    private Rated rate(int threads) {
        try (ComputeBackend backend = new VectorBackend(threads);
                Arena arena = Arena.ofShared();
                CompressionWorkspace workspace = backend.open(problem)) {
            byte[] basisOf = new byte[ROWS];
            Arrays.fill(basisOf, ROWS / 4, ROWS, (byte) 1);
            workspace.accumulate(basisOf, 2);
            workspace.decompose(RANKS);
            List<Directions> bases = List.of(workspace.directions(0, RANKS[0]), workspace.directions(1, RANKS[1]));
            List<GroupPlan> plans = plans();
            workspace.rate(bases, plans);
            byte[] groupOf = new byte[ROWS];
            double price = workspace.energy() / ROWS / 200;
            Choice choice = workspace.choose(price, new double[] {1, 9, 22, 15, 305}, groupOf);
            List<EncodedMatrix> left = new ArrayList<>();
            for (int p = 0; p < plans.size(); p++) {
                GroupPlan plan = plans.get(p);
                left.add(EncodedMatrix.allocate(arena, plan.profile(), choice.rows()[p], plan.rank()));
            }
            workspace.encodeLeft(groupOf, plans, bases, left);
            EncodedMatrix[] right = new EncodedMatrix[2];
            for (int b = 0; b < 2; b++) {
                right[b] = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, COLUMNS), RANKS[b], COLUMNS);
                for (int k = 0; k < RANKS[b]; k++) {
                    right[b].encodeRow(k, bases.get(b).right(), k * COLUMNS);
                }
            }
            CompressedMatrix stored = new CompressedMatrix("rows", COLUMNS, groupOf, plans, left, List.of(right));
            return new Rated(
                    choice.distortion(),
                    groupOf,
                    workspace.loss(stored).weighted(),
                    workspace.normalEquations(groupOf, plans, RANKS, left));
        }
    }

    @Test
    void whatChoosingPromisesIsWhatTheStoredFactorsLose() {
        Rated rated = rate(2);
        assertEquals(rated.lost, rated.distortion, 0.02 * rated.lost);
        assertEquals(
                plans().size(),
                IntStream.range(0, ROWS).map(i -> rated.groupOf[i]).distinct().count());
    }

    @Test
    void theNumberOfThreadsChangesNoBitOfRatedRowsAndTheirEquations() {
        Rated expected = rate(1);
        for (int threads = 2; threads <= 3; threads++) {
            Rated found = rate(threads);
            assertEquals(expected.distortion, found.distortion, threads + " threads");
            assertEquals(expected.lost, found.lost, threads + " threads");
            assertArrayEquals(expected.groupOf, found.groupOf, threads + " threads");
            for (int b = 0; b < 2; b++) {
                NormalEquations e = expected.equations.get(b);
                assertArrayEquals(e.gram(), found.equations.get(b).gram(), threads + " threads");
                assertArrayEquals(e.cross(), found.equations.get(b).cross(), threads + " threads");
            }
        }
    }

    @Test
    void whatTheSpectraPromiseIsWhatTheStoredFactorsLose() {
        Outcome outcome = run(2);
        double promised = outcome.numbers[2] + outcome.numbers[3];
        assertTrue(promised > 0.01 * outcome.numbers[0], "there is something to lose");
        assertEquals(promised, outcome.numbers[1], 1e-4 * promised);
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        Outcome expected = run(1);
        for (int threads = 2; threads <= 3; threads++) {
            Outcome found = run(threads);
            assertArrayEquals(expected.numbers, found.numbers, threads + " threads");
            assertArrayEquals(expected.best, found.best, threads + " threads");
            assertArrayEquals(expected.top, found.top, threads + " threads");
            for (int g = 0; g < 3; g++) {
                assertArrayEquals(expected.stored[g], found.stored[g], "group " + g + ", " + threads + " threads");
            }
        }
    }
}
