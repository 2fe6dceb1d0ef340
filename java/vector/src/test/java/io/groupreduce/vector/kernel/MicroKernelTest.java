package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.MR;
import static io.groupreduce.vector.kernel.Lanes.NR;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class MicroKernelTest {
    private static final int DEPTH = 37;
    private static final int LDA = DEPTH + 5;

    private final float[] rowMajor = Numbers.random(1, MR * LDA);
    private final float[] panel = Numbers.random(2, DEPTH * NR + MR);
    private final float[] start = Numbers.random(3, MR * (NR + 3));

    @Test
    void rowsMultipliesRowMajorRows() {
        for (boolean add : new boolean[] {false, true}) {
            float[] c = start.clone();
            MicroKernel.rows(DEPTH, rowMajor, 0, LDA, panel, 0, c, 0, NR + 3, add);
            for (int r = 0; r < MR; r++) {
                for (int j = 0; j < NR; j++) {
                    double expected = add ? start[r * (NR + 3) + j] : 0;
                    for (int k = 0; k < DEPTH; k++) {
                        expected += (double) rowMajor[r * LDA + k] * panel[k * NR + j];
                    }
                    assertEquals(expected, c[r * (NR + 3) + j], 1e-5, "row " + r + ", column " + j + ", add " + add);
                }
                assertEquals(start[r * (NR + 3) + NR], c[r * (NR + 3) + NR], "nothing is written beside the block");
            }
        }
    }

    @Test
    void columnsMultipliesColumnsOfAPanel() {
        int first = NR - MR;
        float[] c = new float[MR * NR];
        MicroKernel.columns(DEPTH, panel, first, panel, 0, c, 0, false);
        for (int r = 0; r < MR; r++) {
            for (int j = 0; j < NR; j++) {
                double expected = 0;
                for (int k = 0; k < DEPTH; k++) {
                    expected += (double) panel[k * NR + first + r] * panel[k * NR + j];
                }
                assertEquals(expected, c[r * NR + j], 1e-5, "row " + r + ", column " + j);
            }
        }
    }

    @Test
    void narrowRowsComputeTheSameSumsAsPlainLoops() {
        // The narrow kernel covers the first two vectors of a panel, whatever this machine prefers.
        int width = 2 * Lanes.LANES;
        float[] c = new float[MR * NR];
        NarrowKernel.rows(DEPTH, rowMajor, 0, LDA, panel, 0, c, 0, NR, false);
        float[] wide = new float[MR * NR];
        MicroKernel.rows(DEPTH, rowMajor, 0, LDA, panel, 0, wide, 0, NR, false);
        for (int r = 0; r < MR; r++) {
            assertArrayEquals(
                    Arrays.copyOfRange(wide, r * NR, r * NR + width),
                    Arrays.copyOfRange(c, r * NR, r * NR + width),
                    "row " + r);
        }
    }
}
