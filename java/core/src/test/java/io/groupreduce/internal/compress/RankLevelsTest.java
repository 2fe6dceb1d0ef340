package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class RankLevelsTest {
    @Test
    void stepsWidenWithTheRank() {
        assertArrayEquals(new int[] {2, 4, 6, 8, 10, 12, 14, 16, 20, 24}, RankLevels.of(24, 100));
        assertArrayEquals(
                new int[] {2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 100},
                RankLevels.of(100, 100));
    }

    @Test
    void narrowMatricesHaveOneLevel() {
        assertArrayEquals(new int[] {1}, RankLevels.of(1, 100));
        assertArrayEquals(new int[] {2}, RankLevels.of(2, 100));
        assertArrayEquals(new int[] {2, 3}, RankLevels.of(3, 100));
    }

    @Test
    void whateverTheWidthLevelsRiseToItAndPackIntoWholeBytes() {
        for (int columns = 1; columns < 5000; columns += 1 + columns / 7) {
            for (int most : new int[] {1, 2, 5, 17, 80, 254}) {
                String what = columns + " columns, at most " + most;
                int[] levels = RankLevels.of(columns, most);
                assertTrue(levels.length >= 1 && levels.length <= most, what);
                assertEquals(columns, levels[levels.length - 1], what);
                for (int l = 0; l < levels.length - 1; l++) {
                    assertTrue(levels[l] < levels[l + 1], what);
                    assertEquals(0, levels[l] % (levels[l] <= 16 ? 2 : 4), what + ": " + levels[l]);
                }
            }
        }
    }
}
