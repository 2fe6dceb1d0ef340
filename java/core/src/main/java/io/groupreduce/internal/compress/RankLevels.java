package io.groupreduce.internal.compress;

import java.util.ArrayList;
import java.util.List;

/**
 * The ranks a row may be kept at: fine steps where a direction matters much, coarse ones where it matters little. Every rank
 * but the last is even and, above 16, a multiple of 4, so that rows of INT4 end on whole bytes.
 */
final class RankLevels {
    private RankLevels() {}

    /**
     * Ranks in rising order, the last one {@code columns}: multiples of 2 up to 16, and above any power of two n of
     * multiples of n / 4 up to 2 n, but of at most 16 up to 256.
     *
     * @param most how many at most, at least 1; a longer list is thinned evenly
     */
    static int[] of(int columns, int most) {
        List<Integer> all = new ArrayList<>();
        for (int rank = 2; rank < columns; rank += step(rank)) {
            all.add(rank);
        }
        all.add(columns);
        int count = Math.min(most, all.size());
        int[] levels = new int[count];
        for (int l = 0; l < count; l++) {
            levels[l] = all.get((int) ((l + 1L) * all.size() / count) - 1);
        }
        return levels;
    }

    private static int step(int rank) {
        int power = Integer.highestOneBit(rank);
        if (power < 16) {
            return 2;
        }
        return power <= 128 ? Math.min(16, power / 4) : power / 8;
    }
}
