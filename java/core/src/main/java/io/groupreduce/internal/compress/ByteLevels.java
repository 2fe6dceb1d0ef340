package io.groupreduce.internal.compress;

import java.util.ArrayList;
import java.util.List;

/** How many bytes the codes of a row may have: in steps of a share of what they are, of one byte at least. */
final class ByteLevels {
    /** Rows are shorter and longer than their mean, by this factor at most; the few beyond lose little with the last level. */
    static final double SPREAD = 16;

    private ByteLevels() {}

    /**
     * Numbers of bytes in rising order.
     *
     * @param columns D: the longest row, all numbers of 8 bits
     * @param mean what the size target leaves a row
     * @param most how many levels at most, at least 1
     */
    static int[] of(int columns, double mean, int most) {
        int largest = Math.clamp((long) Math.ceil(mean * SPREAD), 1, columns);
        int least = Math.clamp((long) (Math.min(mean, largest) / SPREAD), 1, largest);
        double step = 1;
        int[] levels;
        do {
            step *= 1.01;
            levels = levels(least, largest, step);
        } while (levels.length > Math.max(1, most));
        return levels;
    }

    private static int[] levels(int least, int largest, double step) {
        List<Integer> levels = new ArrayList<>();
        for (int bytes = largest; bytes >= least; bytes = Math.min(bytes - 1, (int) (bytes / step))) {
            levels.add(0, bytes);
        }
        return levels.stream().mapToInt(Integer::intValue).toArray();
    }
}
