package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.NR;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.inference.TileLayout.Run;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class TileLayoutTest {
    private static final int ROWS = TILE + 5;

    private final SplittableRandom random = new SplittableRandom(4);

    /** Widths that fall somewhere, so that runs end at every place of a byte. */
    private BitProfile profile() {
        int[] bits = new int[1 + random.nextInt(90)];
        int now = 1 + random.nextInt(8);
        for (int d = 0; d < bits.length; d++) {
            now = Math.max(1, now - (random.nextInt(9) == 0 ? 1 + random.nextInt(3) : 0));
            bits[d] = now;
        }
        return BitProfile.of(bits);
    }

    @Test
    void packedRowsAreTheStoredOnes() {
        for (int round = 0; round < 300; round++) {
            BitProfile profile = profile();
            int rank = profile.width();
            try (Arena arena = Arena.ofShared();
                    Workers workers = new Workers(1)) {
                EncodedMatrix left = EncodedMatrix.allocate(arena, profile, ROWS, rank);
                for (long at = 0; at < left.data().byteSize(); at++) {
                    left.data().set(ValueLayout.JAVA_BYTE, at, (byte) random.nextInt());
                }
                GroupPlan plan = new GroupPlan(GroupPlan.DENSE, profile);
                CompressedMatrix matrix =
                        new CompressedMatrix("rows", rank, new byte[ROWS], List.of(plan), List.of(left), List.of());
                try (PackedHead head = new PackedHead(workers, matrix, null, 0)) {
                    assertStored(profile, left, head);
                }
            }
        }
    }

    private void assertStored(BitProfile profile, EncodedMatrix left, PackedHead head) {
        int rank = profile.width();
        float[] z = new float[rank];
        for (int d = 0; d < rank; d++) {
            z[d] = (float) random.nextGaussian();
        }
        TileLayout layout = head.group(0).layout();
        TileLayout.Folded folded = layout.new Folded(1);
        folded.fold(0, z, 0);
        int stride = (rank + 7) * NR;
        for (int tile = 0; tile < head.tiles(); tile++) {
            float[] panels = new float[TILE / NR * stride];
            TileDecoder.decode(head, tile, 0, rank, panels, stride);
            float[] sums = new float[TILE];
            Arrays.fill(sums, folded.start(0, 0, rank));
            for (Run run : layout.runs) {
                long at = head.group(tile).codesAt(tile) + run.at();
                int directions = run.end() - run.from();
                TileKernel.add(run.kept(), head.codes, at, directions, folded.numbers, run.foldedAt(), sums);
            }
            for (int row = tile * TILE; row < Math.min(ROWS, (tile + 1) * TILE); row++) {
                float[] expected = new float[rank];
                left.decodeValues(row, rank, expected, 0);
                float[] found = new float[rank];
                double sum = 0;
                double magnitude = 0;
                for (int d = 0; d < rank; d++) {
                    found[d] = panels[row % TILE / NR * stride + row % TILE % NR + d * NR];
                    sum += (double) expected[d] * z[d];
                    magnitude += Math.abs((double) expected[d] * z[d]);
                }
                assertArrayEquals(expected, found, profile + ", row " + row);
                double allowed = 0x1p-24 * (4 + Math.sqrt(rank)) * magnitude;
                assertEquals(sum, sums[row % TILE], allowed, profile + ", sum of row " + row);
            }
        }
        assertTrue(layout.tileBytes() <= TILE * (profile.rowBytes() + 0.5 * rank + 3), profile + " is kept small");
    }
}
