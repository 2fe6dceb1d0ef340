package io.groupreduce.internal.compress;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The paper's first grouping: tokens sorted by count, cut into c groups that occur about equally often. Group 0 holds the
 * most frequent tokens.
 */
public final class EqualMassGroups {
    private static final int DIGIT_BITS = 16;

    private EqualMassGroups() {}

    /**
     * Group of a token = min(c - 1, floor(c * mass of all tokens before it / total mass)), with mass c_i + 1 and tokens in
     * order of falling count, ties by rising number.
     *
     * @return the group of every row as an unsigned byte; a group may be empty
     */
    public static byte[] of(long[] counts, int groups) {
        double total = 0;
        for (long c : counts) {
            total += c + 1.0;
        }
        byte[] groupOf = new byte[counts.length];
        double before = 0;
        for (int i : byFallingCount(counts)) {
            groupOf[i] = (byte) Math.min(groups - 1, (int) Math.floor(groups * before / total));
            before += counts[i] + 1.0;
        }
        return groupOf;
    }

    /** Sorts stably by the digits of how far counts are below the largest, the last digit first, as many as there are. */
    private static int[] byFallingCount(long[] counts) {
        long most = Arrays.stream(counts).max().orElse(0);
        long span = most - Arrays.stream(counts).min().orElse(0);
        int[] order = IntStream.range(0, counts.length).toArray();
        int[] other = new int[order.length];
        for (int shift = 0; shift < Long.SIZE && span >>> shift != 0; shift += DIGIT_BITS) {
            int[] places = new int[(1 << DIGIT_BITS) + 1];
            for (long count : counts) {
                places[digit(most - count, shift) + 1]++;
            }
            Arrays.parallelPrefix(places, Integer::sum);
            for (int i : order) {
                other[places[digit(most - counts[i], shift)]++] = i;
            }
            int[] sorted = other;
            other = order;
            order = sorted;
        }
        return order;
    }

    private static int digit(long below, int shift) {
        return (int) (below >>> shift) & (1 << DIGIT_BITS) - 1;
    }
}
