package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class CudaSweepTest {
    private static final int LARGE_CARD = 232_448;
    private static final int SMALL_CARD = 101_376;

    @Test
    void theSmallestKernelThatHoldsTheStatesIsTaken() {
        int[][] kernels = {{1, 0}, {8, 0}, {9, 1}, {16, 1}, {17, 2}, {32, 2}, {33, 3}, {64, 3}, {65, 3}, {512, 3}};
        for (int[] kernel : kernels) {
            assertEquals(kernel[1], CudaSweep.size(kernel[0]), kernel[0] + " states");
        }
    }

    @Test
    void operandsFitSharedMemoryBesideWhatTheKernelsKeep() {
        for (int card : new int[] {LARGE_CARD, SMALL_CARD}) {
            for (int size = 0; size < 4; size++) {
                for (int widest : new int[] {0, 1, 7, 13, 64, 256, 2000}) {
                    int slices = CudaSweep.panelSlices(widest, CudaSweep.panelBytes(card, size), size);
                    assertTrue(slices <= widest && slices >= Math.min(8, widest), slices + " of " + widest);
                    int bytes = (slices * 768 << size) + (6144 << size);
                    assertTrue(bytes <= card, "kernel " + size + " takes " + bytes + " of " + card);
                }
            }
        }
    }

    @Test
    void aLargeCardHoldsTheUsualRanksAtOnce() {
        assertEquals(64, CudaSweep.panelSlices(64, CudaSweep.panelBytes(LARGE_CARD, 0), 0));
        assertEquals(64, CudaSweep.panelSlices(64, CudaSweep.panelBytes(LARGE_CARD, 1), 1));
        assertEquals(64, CudaSweep.panelSlices(64, CudaSweep.panelBytes(LARGE_CARD, 2), 2));
        assertEquals(29, CudaSweep.panelSlices(64, CudaSweep.panelBytes(LARGE_CARD, 3), 3));
    }
}
