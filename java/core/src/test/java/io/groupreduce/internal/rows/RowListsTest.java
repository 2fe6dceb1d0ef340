package io.groupreduce.internal.rows;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class RowListsTest {
    @Test
    void rowsKeepTheirOrderWithinAKeyAndOthersAreLeftOut() {
        byte[] keyOf = {2, 0, (byte) 255, 2, 3, 0, (byte) 200, 2};
        RowLists lists = RowLists.of(keyOf, 3);
        assertArrayEquals(new int[] {1, 5, 0, 3, 7}, lists.order());
        assertArrayEquals(new int[] {0, 2, 2, 5}, lists.starts());
        assertEquals(5, lists.rows());
        assertEquals(0, lists.count(1));
        assertEquals(2, lists.start(2));
        assertEquals(3, lists.count(2));
    }

    @Test
    void keysAreUnsigned() {
        byte[] keyOf = {(byte) 253, (byte) 254, 0};
        assertArrayEquals(new int[] {2, 0}, RowLists.of(keyOf, 254).order());
    }
}
