package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

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
}
