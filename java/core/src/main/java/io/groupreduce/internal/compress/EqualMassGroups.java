package io.groupreduce.internal.compress;

import java.util.Arrays;
import java.util.Comparator;

/**
 * The paper's first grouping: tokens sorted by count, cut into c groups that occur about equally often. Group 0 holds the
 * most frequent tokens.
 */
public final class EqualMassGroups {
    private EqualMassGroups() {}

    /**
     * Group of a token = min(c - 1, floor(c * mass of all tokens before it / total mass)), with mass c_i + 1 and tokens in
     * order of falling count, ties by rising number.
     *
     * @return the group of every row as an unsigned byte; a group may be empty
     */
    public static byte[] of(long[] counts, int groups) {
        Integer[] order = new Integer[counts.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, Comparator.comparingLong((Integer i) -> -counts[i]));
        double total = 0;
        for (long c : counts) {
            total += c + 1.0;
        }
        byte[] groupOf = new byte[counts.length];
        double before = 0;
        for (int i : order) {
            groupOf[i] = (byte) Math.min(groups - 1, (int) Math.floor(groups * before / total));
            before += counts[i] + 1.0;
        }
        return groupOf;
    }
}
