package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What every backend must do with the directions of its bases: hand them out, store coordinates along them, and set up the
 * equations of better right factors; held against {@link ReferenceBackend}.
 */
public abstract class RightContract extends Contract {
    private static final int BASES = CompressionCase.BASES;

    private static Stream<CompressionCase> cases() {
        return LongStream.rangeClosed(1, 4).mapToObj(CompressionCase::new);
    }

    /** Rows in groups of several ranks a basis, one of them empty, and dense and zero ones; coordinates stored. */
    private static final class Stored {
        final List<GroupPlan> groups = new ArrayList<>();
        final List<Directions> bases = new ArrayList<>();
        final List<EncodedMatrix> left = new ArrayList<>();
        final byte[] groupOf;
        final int[] ranks;

        Stored(CompressionCase c, CompressionWorkspace directions, CompressionWorkspace encoder, Arena arena) {
            int columns = c.matrix.columns();
            c.spectra(directions, c.basisOf);
            for (int b = 0; b < BASES; b++) {
                int rank = c.ranks[b];
                groups.add(GroupPlan.of(b, 1, Codec.F32));
                groups.add(GroupPlan.of(b, rank, Codec.INT8));
                groups.add(GroupPlan.of(b, (rank + 1) / 2, b == 1 ? Codec.INT3 : Codec.INT4));
                groups.add(
                        b == 0
                                ? GroupPlan.of(b, Math.max(1, rank - 1), Codec.BF16)
                                : new GroupPlan(b, CompressionCase.falling(6, rank)));
                bases.add(c.directions(directions, b));
            }
            groups.add(2, GroupPlan.dense(columns, Codec.INT8));
            groups.add(5, GroupPlan.zero());
            SplittableRandom random = new SplittableRandom(c.seed);
            groupOf = new byte[c.matrix.rows()];
            int[] sizes = new int[groups.size()];
            for (int i = 0; i < groupOf.length; i++) {
                // The last group stays empty.
                int g = random.nextInt(groups.size() - 1);
                groupOf[i] = (byte) g;
                sizes[g]++;
            }
            for (int g = 0; g < sizes.length; g++) {
                GroupPlan plan = groups.get(g);
                int rank = plan.rank();
                left.add(plan.isZero() ? null : EncodedMatrix.allocate(arena, plan.profile(), sizes[g], rank));
            }
            // One coordinate more than the second basis's groups have: its row and column are zero.
            ranks = new int[] {c.ranks[0], c.ranks[1] + 1, c.ranks[2]};
            encoder.encodeLeft(groupOf, groups, bases, left);
        }
    }

    @Test
    void directionsTurnRowsIntoCoordinatesAndBack() {
        compare(cases(), (c, mine, reference, arena) -> {
            int columns = c.matrix.columns();
            c.spectra(mine, c.basisOf);
            Directions part = mine.directions(0, c.ranks[0]);
            assertEquals(c.ranks[0], part.rank());
            assertEquals(c.ranks[0] * columns, part.projection().length, c.at("projection"));
            assertEquals(c.ranks[0] * columns, part.right().length, c.at("right"));
            assertEquals(null, part.scales());
            Directions all = mine.directions(2, columns);
            float[] row = new float[columns];
            for (int i = 0; i < 20; i++) {
                c.matrix.readRow(i, row, 0);
                double[] back = new double[columns];
                double norm = 0;
                for (int k = 0; k < columns; k++) {
                    double coordinate = 0;
                    for (int j = 0; j < columns; j++) {
                        coordinate += (double) all.projection()[k * columns + j] * row[j];
                    }
                    for (int j = 0; j < columns; j++) {
                        back[j] += coordinate * all.right()[k * columns + j];
                    }
                    norm = Math.max(norm, Math.abs(row[k]));
                }
                for (int j = 0; j < columns; j++) {
                    assertEquals(row[j], back[j], 1e-4 * norm, c.at("row " + i + ", column " + j));
                }
            }
        });
    }

    @Test
    void storedCoordinatesAreTheReferences() {
        compare(cases(), (c, mine, reference, arena) -> {
            Stored expected = new Stored(c, reference, reference, arena);
            Stored actual = new Stored(c, reference, mine, arena);
            for (int g = 0; g < expected.groups.size(); g++) {
                EncodedMatrix e = expected.left.get(g);
                if (e != null) {
                    assertAlike(c, e, actual.left.get(g), c.at("group " + g));
                }
            }
        });
    }

    /** A number may be rounded to its other neighbour, and rarely a row may take another scale. */
    private static void assertAlike(CompressionCase c, EncodedMatrix expected, EncodedMatrix actual, String what) {
        int width = expected.width();
        float[] e = new float[width];
        float[] a = new float[width];
        long apart = 0;
        for (int i = 0; i < expected.rows(); i++) {
            expected.decodeRow(i, e, 0);
            actual.decodeRow(i, a, 0);
            float largest = 0;
            for (int j = 0; j < width; j++) {
                largest = Math.max(largest, Math.abs(e[j]));
            }
            for (int j = 0; j < width; j++) {
                apart += Math.abs(e[j] - a[j]) > 1e-5 * largest ? 1 : 0;
            }
        }
        assertTrue(apart <= 0.01 * expected.rows() * width, what + ": " + apart + " numbers differ");
    }

    @Test
    void normalEquationsAreTheReferences() {
        compare(cases(), (c, mine, reference, arena) -> {
            int columns = c.matrix.columns();
            Stored stored = new Stored(c, reference, mine, arena);
            List<NormalEquations> expected =
                    reference.normalEquations(stored.groupOf, stored.groups, stored.ranks, stored.left);
            List<NormalEquations> actual =
                    mine.normalEquations(stored.groupOf, stored.groups, stored.ranks, stored.left);
            assertEquals(BASES, actual.size());
            for (int b = 0; b < BASES; b++) {
                int rank = stored.ranks[b];
                NormalEquations e = expected.get(b);
                NormalEquations a = actual.get(b);
                assertEquals(rank, a.rank());
                assertEquals(rank * rank, a.gram().length);
                assertEquals(rank * columns, a.cross().length);
                double[] norms = norms(c, stored, b);
                for (int k = 0; k < rank; k++) {
                    double norm = Math.sqrt(e.gram()[k * rank + k]);
                    for (int j = 0; j < rank; j++) {
                        double scale = norm * Math.sqrt(e.gram()[j * rank + j]);
                        String what = c.at("gram " + k + ", " + j + " of basis " + b);
                        assertEquals(e.gram()[k * rank + j], a.gram()[k * rank + j], 1e-5 * scale, what);
                        assertEquals(a.gram()[j * rank + k], a.gram()[k * rank + j], what + " is symmetric");
                    }
                    for (int j = 0; j < columns; j++) {
                        assertEquals(
                                e.cross()[k * columns + j],
                                a.cross()[k * columns + j],
                                1e-5 * norm * norms[j],
                                c.at("cross " + k + ", " + j + " of basis " + b));
                    }
                }
            }
        });
    }

    /** Per column, the weighted norm over the rows of a basis. */
    private static double[] norms(CompressionCase c, Stored stored, int basis) {
        double[] norms = new double[c.matrix.columns()];
        float[] row = new float[norms.length];
        for (int i = 0; i < stored.groupOf.length; i++) {
            if (stored.groups.get(stored.groupOf[i] & 0xff).basis() == basis) {
                c.matrix.readRow(i, row, 0);
                for (int j = 0; j < norms.length; j++) {
                    norms[j] += (double) c.problem.weights()[i] * row[j] * row[j];
                }
            }
        }
        Arrays.setAll(norms, j -> Math.sqrt(norms[j]));
        return norms;
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        CompressionCase c = new CompressionCase(6);
        assertThreadsChangeNoBit(c.at("coordinates and equations"), (tested, arena) -> {
            try (CompressionWorkspace mine = tested.open(c.problem)) {
                Stored stored = new Stored(c, mine, mine, arena);
                List<Object> made = new ArrayList<>(List.of(bytes(stored.left.stream())));
                mine.normalEquations(stored.groupOf, stored.groups, stored.ranks, stored.left)
                        .forEach(equations -> made.addAll(List.of(equations.gram(), equations.cross())));
                return made;
            }
        });
    }
}
