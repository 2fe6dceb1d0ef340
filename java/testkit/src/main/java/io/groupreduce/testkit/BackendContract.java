package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What every backend must do, held against {@link ReferenceBackend} on ragged sizes with planted outliers. Factorizations are
 * compared by what they reconstruct, never by the sign of a vector. Messages carry the seed.
 */
public abstract class BackendContract extends Contract {
    private static final int BASES = CompressionCase.BASES;

    private static Stream<CompressionCase> cases() {
        return Stream.of(
                        LongStream.rangeClosed(1, 5).mapToObj(CompressionCase::new),
                        LongStream.rangeClosed(7, 8).mapToObj(CompressionCase::wide),
                        LongStream.rangeClosed(9, 10).mapToObj(CompressionCase::withASmallBasis))
                .flatMap(each -> each);
    }

    @Test
    void energyIsTheWeightedSquaredNorm() {
        compare(
                cases(),
                (c, mine, reference, arena) -> assertClose(reference.energy(), mine.energy(), 1e-5, c.at("energy")));
    }

    @Test
    void spectraMatchTheReference() {
        compare(
                cases(),
                (c, mine, reference, arena) ->
                        assertSpectra(c, c.spectra(reference, c.basisOf), c.spectra(mine, c.basisOf)));
    }

    @Test
    void movedRowsLeaveTheSameSpectraAsAFreshStart() {
        compare(cases(), (c, mine, reference, arena) -> {
            SplittableRandom random = new SplittableRandom(c.seed);
            byte[] moved = c.basisOf.clone();
            for (int k = 0; k < moved.length / 10; k++) {
                int b = random.nextInt(BASES + 1);
                moved[random.nextInt(moved.length)] = (byte) (b == BASES ? GroupPlan.DENSE : b);
            }
            c.spectra(mine, c.basisOf);
            assertSpectra(c, c.spectra(reference, moved), c.spectra(mine, moved));
        });
    }

    @Test
    void aBasisMayGrowBeyondAsManyRowsAsColumnsAndShrinkAgain() {
        compare(Stream.of(9L, 10L).map(CompressionCase::withASmallBasis), (c, mine, reference, arena) -> {
            byte[] grown = c.basisOf.clone();
            for (int i = 0; i < grown.length; i++) {
                grown[i] = grown[i] == 0 && i % 2 == 0 ? 1 : grown[i];
            }
            for (byte[] basisOf : List.of(c.basisOf, grown, c.basisOf, grown)) {
                assertSpectra(c, c.spectra(reference, basisOf), c.spectra(mine, basisOf));
            }
        });
    }

    @Test
    void directionsAreOrthonormalEvenWhereRowsHaveNone() {
        compare(cases(), (c, mine, reference, arena) -> {
            int columns = c.matrix.columns();
            mine.accumulate(c.basisOf, BASES);
            mine.decompose(new int[] {columns, columns, columns});
            for (int b = 0; b < BASES; b++) {
                // Row j of the projection is q_j S, of the right factor q_j S^-1.
                Directions directions = mine.directions(b, columns);
                for (int k = 0; k < columns; k++) {
                    for (int m = 0; m < columns; m++) {
                        double dot = 0;
                        for (int j = 0; j < columns; j++) {
                            dot += (double) directions.projection()[k * columns + j]
                                    * directions.right()[m * columns + j];
                        }
                        assertEquals(k == m ? 1 : 0, dot, 1e-4, c.at("directions " + k + " and " + m + " of " + b));
                    }
                }
            }
        });
    }

    @Test
    void assignmentIsTheCheapestCandidate() {
        // A dense candidate of a high price, of none, and a dense one that no other can beat though it is the last.
        for (double densePrice : new double[] {1, 0, -0.5}) {
            compare(cases(), (c, mine, reference, arena) -> {
                int rows = c.matrix.rows();
                SplittableRandom random = new SplittableRandom(c.seed);
                c.spectra(mine, c.basisOf);
                c.spectra(reference, c.basisOf);
                double price = 0.3 * reference.energy() / rows;
                List<Candidate> candidates = List.of(
                        new Candidate(0, c.ranks[0], 0),
                        new Candidate(1, 7, 0.1 * price),
                        new Candidate(1, 3, 0),
                        new Candidate(2, 0, Double.POSITIVE_INFINITY),
                        Candidate.dense(densePrice * price));
                byte[] current = new byte[rows];
                for (int i = 0; i < rows; i++) {
                    int place = random.nextInt(4);
                    current[i] = (byte) (place == 3 ? 4 : place);
                }
                byte[] best = new byte[rows];
                byte[] expectedBest = new byte[rows];
                float[] gain = new float[rows];
                float[] expectedGain = new float[rows];
                reference.assign(candidates, current, expectedBest, expectedGain);
                mine.assign(candidates, current, best, gain);
                int different = 0;
                double scale = 0;
                for (int i = 0; i < rows; i++) {
                    scale = Math.max(scale, expectedGain[i]);
                }
                for (int i = 0; i < rows; i++) {
                    // A row's objective is its energy less its coordinates', so rounding scales with the weighted
                    // energy.
                    double tolerance = 2e-5 * (c.weightedEnergy(i) + expectedGain[i] + price);
                    assertEquals(expectedGain[i], gain[i], tolerance, c.at("gain of row " + i));
                    assertTrue(gain[i] >= 0, c.at("gain of row " + i));
                    different += best[i] == expectedBest[i] ? 0 : 1;
                }
                assertTrue(scale > 0, c.at("some row gains"));
                assertTrue(different <= rows / 100, c.at(different + " rows assigned elsewhere"));
            });
        }
    }

    @Test
    void factorsReconstructWhatTheReferenceDoes() {
        List<IntFunction<BitProfile>> profiles = new ArrayList<>();
        for (Codec codec : Codec.values()) {
            profiles.add(width -> BitProfile.of(codec, width));
        }
        profiles.add(width -> CompressionCase.falling(6, width));
        for (IntFunction<BitProfile> profile : profiles) {
            compare(cases(), (c, mine, reference, arena) -> {
                CompressedMatrix expected = factorize(reference, c, profile, arena);
                CompressedMatrix actual = factorize(mine, c, profile, arena);
                double expectedLoss = reference.loss(expected).weighted();
                double energy = reference.energy();
                String bits = profile.apply(c.matrix.columns()).label();
                String what = c.at(bits + " factors");
                // The error of codes dominates: a vector of the other sign rounds differently.
                double slack = profile.apply(1).most() == Float.SIZE ? 1e-5 : 0.03;
                Loss lost = reference.loss(actual);
                assertEquals(expectedLoss, lost.weighted(), slack * expectedLoss + 1e-6 * energy, what);
                Loss measured = mine.loss(actual);
                what = c.at("measured loss, " + bits);
                assertEquals(lost.weighted(), measured.weighted(), 1e-4 * expectedLoss + 1e-6 * energy, what);
                assertEquals(lost.countedEnergy(), measured.countedEnergy(), 1e-6 * lost.countedEnergy(), what);
                assertEquals(
                        lost.counted(), measured.counted(), 1e-4 * lost.counted() + 1e-6 * lost.countedEnergy(), what);
            });
        }
    }

    @Test
    void comparisonMatchesTheReference() {
        compare(cases(), (c, mine, reference, arena) -> {
            try (ComputeBackend tested = backend(2)) {
                CompressedMatrix compressed = factorize(reference, c, width -> BitProfile.of(Codec.INT8, width), arena);
                int tokens = 37;
                int rows = c.matrix.rows();
                float[] hidden = Generators.powerLaw(c.seed + 100, tokens, c.matrix.columns(), 0.3);
                float[] bias = Arrays.copyOf(Generators.powerLaw(c.seed + 200, rows, 1, 0), rows);
                int[] targets = new int[tokens];
                Arrays.setAll(targets, t -> t * 31 % rows);
                SoftmaxComparison task = new SoftmaxComparison(
                        c.matrix,
                        bias,
                        compressed,
                        bias,
                        Matrix.of("hidden", hidden, tokens, c.matrix.columns()),
                        targets,
                        10);
                TokenScores expected = new ReferenceBackend().compare(task);
                TokenScores actual = tested.compare(task);
                for (int t = 0; t < tokens; t++) {
                    String what = c.at("token " + t);
                    assertClose(expected.denseLogSumExp()[t], actual.denseLogSumExp()[t], 2e-6, what);
                    assertClose(expected.compressedLogSumExp()[t], actual.compressedLogSumExp()[t], 2e-6, what);
                    assertEquals(expected.expectedGap()[t], actual.expectedGap()[t], 2e-4, what);
                    assertEquals(expected.denseTargetLogit()[t], actual.denseTargetLogit()[t], 1e-3, what);
                    assertEquals(expected.compressedTargetLogit()[t], actual.compressedTargetLogit()[t], 1e-3, what);
                }
                assertTrue(agreement(expected.denseTop(), actual.denseTop()) > 0.98, c.at("dense top"));
                assertTrue(agreement(expected.compressedTop(), actual.compressedTop()) > 0.98, c.at("compressed top"));
            }
        });
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        for (CompressionCase c :
                List.of(new CompressionCase(6), CompressionCase.wide(6), CompressionCase.withASmallBasis(6))) {
            assertThreadsChangeNoBit(c.at("factors"), (tested, arena) -> {
                try (CompressionWorkspace workspace = tested.open(c.problem)) {
                    IntFunction<BitProfile> numbers = width -> BitProfile.of(Codec.F32, width);
                    return List.of(bytes(factorize(workspace, c, numbers, arena)));
                }
            });
        }
    }

    @Test
    void closingTwiceIsHarmless() {
        ComputeBackend tested = backend(2);
        CompressionCase c = new CompressionCase(1);
        CompressionWorkspace workspace = tested.open(c.problem);
        workspace.close();
        workspace.close();
        tested.close();
        tested.close();
    }

    private static CompressedMatrix factorize(
            CompressionWorkspace workspace, CompressionCase c, IntFunction<BitProfile> profile, Arena arena) {
        c.spectra(workspace, c.basisOf);
        byte[] groupOf = c.groupOf();
        int columns = c.matrix.columns();
        int[] sizes = new int[BASES + 1];
        for (byte g : groupOf) {
            sizes[g]++;
        }
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        List<EncodedMatrix> right = new ArrayList<>();
        List<Directions> bases = new ArrayList<>();
        for (int b = 0; b < BASES; b++) {
            int rank = c.ranks[b];
            Directions directions = c.directions(workspace, b);
            bases.add(directions);
            plans.add(new GroupPlan(b, profile.apply(rank)));
            left.add(EncodedMatrix.allocate(arena, profile.apply(rank), sizes[b], rank));
            EncodedMatrix stored = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, columns), rank, columns);
            for (int k = 0; k < rank; k++) {
                float[] row = Arrays.copyOfRange(directions.right(), k * columns, (k + 1) * columns);
                for (int j = 0; directions.scales() != null && j < columns; j++) {
                    row[j] /= directions.scales()[k];
                }
                stored.encodeRow(k, row, 0);
            }
            right.add(stored);
        }
        plans.add(new GroupPlan(GroupPlan.DENSE, profile.apply(columns)));
        left.add(EncodedMatrix.allocate(arena, profile.apply(columns), sizes[BASES], 32));
        workspace.encodeLeft(groupOf, plans, bases, left);
        return new CompressedMatrix("matrix", columns, groupOf, plans, left, right);
    }

    private static void assertSpectra(CompressionCase c, List<Spectrum> expected, List<Spectrum> actual) {
        for (int b = 0; b < BASES; b++) {
            Spectrum e = expected.get(b);
            Spectrum a = actual.get(b);
            assertClose(e.trace(), a.trace(), 1e-5, c.at("trace of basis " + b));
            assertEquals(e.values().length, a.values().length, c.at("values of basis " + b));
            for (int j = 0; j < e.values().length; j++) {
                String what = c.at("eigenvalue " + j + " of basis " + b);
                assertEquals(e.values()[j], a.values()[j], 1e-5 * e.trace(), what);
                assertTrue(j == 0 || a.values()[j] <= a.values()[j - 1], what + " is in order");
            }
        }
    }

    private static double agreement(int[] expected, int[] actual) {
        int same = 0;
        for (int i = 0; i < expected.length; i++) {
            same += expected[i] == actual[i] ? 1 : 0;
        }
        return (double) same / expected.length;
    }

    private static void assertClose(double expected, double actual, double relative, String message) {
        assertEquals(expected, actual, relative * Math.abs(expected), message);
    }
}
