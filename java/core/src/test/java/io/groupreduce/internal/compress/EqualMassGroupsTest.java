package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class EqualMassGroupsTest {
    @Test
    void groupsHoldEqualMassMostFrequentFirst() {
        // Masses c + 1 are 8, 4, 2, 1, 1: 16 in all, so half of it is the first token alone.
        long[] counts = {0, 7, 1, 0, 3};
        assertArrayEquals(new byte[] {1, 0, 1, 1, 1}, EqualMassGroups.of(counts, 2));
        assertArrayEquals(new byte[] {3, 0, 3, 3, 2}, EqualMassGroups.of(counts, 4));
    }

    @Test
    void tiesKeepVocabularyOrder() {
        assertArrayEquals(new byte[] {0, 0, 1, 1, 2, 2}, EqualMassGroups.of(new long[6], 3));
    }

    @Test
    void moreGroupsThanTokensLeaveSomeEmpty() {
        byte[] groupOf = EqualMassGroups.of(new long[] {5, 5}, 5);
        assertEquals(0, groupOf[0]);
        assertEquals(2, groupOf[1]);
    }

    @Test
    void groupNumbersAreUnsigned() {
        byte[] groupOf = EqualMassGroups.of(new long[1000], 254);
        assertEquals(253, groupOf[999] & 0xff);
    }

    @Test
    void countsOfAnySizeAreSortedStably() {
        SplittableRandom random = new SplittableRandom(8);
        for (int bits : new int[] {0, 3, 16, 17, 40, 63}) {
            long[] counts = new long[1013];
            Arrays.setAll(counts, i -> random.nextLong() >>> 1 >>> 63 - bits);
            Integer[] order = IntStream.range(0, counts.length).boxed().toArray(Integer[]::new);
            Arrays.sort(order, Comparator.comparingLong((Integer i) -> -counts[i]));
            double total = Arrays.stream(counts).mapToDouble(c -> c + 1.0).sum();
            double before = 0;
            byte[] groupOf = EqualMassGroups.of(counts, 200);
            for (int i : order) {
                // A sum of another order may round to the other side of a border.
                assertEquals(200 * before / total, groupOf[i] & 0xff, 1 + 1e-9, "seed 8, " + bits + " bits, row " + i);
                before += counts[i] + 1.0;
            }
            for (int place = 1; place < order.length; place++) {
                int group = groupOf[order[place]] & 0xff;
                assertTrue(group >= (groupOf[order[place - 1]] & 0xff), "seed 8, " + bits + " bits, place " + place);
            }
        }
    }
}
