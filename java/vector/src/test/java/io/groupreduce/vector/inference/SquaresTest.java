package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class SquaresTest {
    private static final int ROWS = TILE + 5;

    private final SplittableRandom random = new SplittableRandom(11);

    /** All widths, and runs that end within a byte of each form. */
    private BitProfile falling(int rank) {
        int[] bits = new int[rank];
        for (int d = 0; d < rank; d++) {
            bits[d] = Math.max(1, 8 - (d + random.nextInt(2)) * 8 / rank);
            bits[d] = d == 0 ? bits[d] : Math.min(bits[d], bits[d - 1]);
        }
        return BitProfile.of(bits);
    }

    @Test
    void sumsAreThoseOfTheStoredNumbers() {
        for (int rank : new int[] {1, 7, 31, 32, 33, 90, 131}) {
            check(falling(rank));
            for (Codec codec : Codec.values()) {
                check(BitProfile.of(codec, rank));
            }
        }
    }

    private void check(BitProfile profile) {
        int rank = profile.width();
        try (Arena arena = Arena.ofShared()) {
            EncodedMatrix left = EncodedMatrix.allocate(arena, profile, ROWS, rank);
            float[] row = new float[rank];
            for (int i = 0; i < ROWS; i++) {
                for (int d = 0; d < rank; d++) {
                    row[d] = (float) random.nextGaussian();
                }
                left.encodeRow(i, row, 0);
            }
            GroupPlan plan = new GroupPlan(GroupPlan.DENSE, profile);
            CompressedMatrix matrix =
                    new CompressedMatrix("rows", rank, new byte[ROWS], List.of(plan), List.of(left), List.of());
            try (PackedHead head = new PackedHead(Workers.NONE, matrix, null, 0)) {
                Squares squares = new Squares(head);
                for (int tile = 0; tile < 2; tile++) {
                    squares.read(tile);
                    int rows = Math.min(TILE, ROWS - tile * TILE);
                    double[] rest = new double[TILE];
                    double[] expected = new double[TILE];
                    for (int step = (rank - 1) / TailBounds.STEP; step >= 0; step--) {
                        double found = squares.addTo(rest, step, head.scales, tile * TILE, rows);
                        double largest = 0;
                        for (int i = 0; i < rows; i++) {
                            left.decodeRow(tile * TILE + i, row, 0);
                            int first = step * TailBounds.STEP;
                            for (int d = first; d < Math.min(rank, first + TailBounds.STEP); d++) {
                                expected[i] += (double) row[d] * row[d];
                            }
                            assertEquals(expected[i], rest[i], 1e-6 * expected[i], profile + ", row " + i);
                            largest = Math.max(largest, rest[i]);
                        }
                        assertEquals(largest, found, profile.toString());
                    }
                }
            }
        }
    }
}
