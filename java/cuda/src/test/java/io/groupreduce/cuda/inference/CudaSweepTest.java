package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class CudaSweepTest {
    private static final int LARGE_CARD = 232_448;
    private static final int SMALL_CARD = 101_376;

    @Test
    void theSmallestKernelThatHoldsTheStatesIsTaken() {
        int[][] kernels = {{1, 0}, {2, 0}, {3, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 2}, {512, 2}};
        for (int[] kernel : kernels) {
            assertEquals(kernel[1], CudaSweep.size(kernel[0]), kernel[0] + " states");
        }
    }

    @Test
    void operandsFitSharedMemoryBesideWhatTheKernelsKeep() {
        int[] own = {17 << 10, 24 << 10, 47 << 10};
        for (int card : new int[] {LARGE_CARD, SMALL_CARD}) {
            for (int size = 0; size < 3; size++) {
                for (int needed : new int[] {1536, 36 << 10, 1 << 20}) {
                    int bytes = CudaSweep.panelBytes(needed, card, size);
                    assertTrue(bytes <= needed && bytes >= 1536 && bytes % 16 == 0, bytes + " of " + needed);
                    int whole = bytes + (32 << 10) + own[size];
                    assertTrue(whole <= card, "kernel " + size + " takes " + whole + " of " + card);
                }
            }
        }
    }

    @Test
    void aLargeCardHoldsTheUsualRanksTwice() {
        // Codes of 1,024 directions; the same of F32 and BF16.
        int[][] needed = {{32 * 288, 32 * 1536}, {32 * 576, 32 * 1536}, {28 * 1152, 20 * 1536}};
        for (int size = 0; size < 3; size++) {
            for (int bytes : needed[size]) {
                assertEquals(bytes, CudaSweep.panelBytes(bytes, LARGE_CARD, size));
                assertTrue(2 * (bytes + (33 << 10) + new int[] {17 << 10, 24 << 10, 47 << 10}[size]) <= LARGE_CARD);
            }
        }
    }
}
