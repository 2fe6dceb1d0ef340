package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ByteLevelsTest {
    @Test
    void levelsRiseFromASixteenthOfTheMeanToSixteenTimesIt() {
        int[] levels = ByteLevels.of(4096, 32, 40);
        assertEquals(2, levels[0]);
        assertEquals(512, levels[levels.length - 1]);
        for (int l = 1; l < levels.length; l++) {
            assertTrue(levels[l] > levels[l - 1]);
            assertTrue(levels[l] <= levels[l - 1] * 1.35 + 1, "a gap before " + levels[l]);
        }
    }

    @Test
    void whateverTheWidthThereAreNoMoreThanAskedFor() {
        for (int columns = 1; columns < 5000; columns += 1 + columns / 7) {
            for (int most : new int[] {1, 2, 5, 17, 80, 254}) {
                for (double mean : new double[] {0.01, 0.5, 3, 40, 1e9}) {
                    int[] levels = ByteLevels.of(columns, mean, most);
                    String what = columns + " columns, at most " + most + ", mean " + mean;
                    assertTrue(levels.length >= 1 && levels.length <= most, what);
                    assertTrue(levels[0] >= 1 && levels[levels.length - 1] <= columns, what);
                }
            }
        }
    }
}
