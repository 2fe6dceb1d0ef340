package io.groupreduce.internal.select;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class KeyedLogitTest {
    private static final float[] RISING = {
        Float.NEGATIVE_INFINITY,
        -Float.MAX_VALUE,
        -1e30f,
        -1,
        -Float.MIN_VALUE,
        0,
        Float.MIN_VALUE,
        0.5f,
        1,
        Float.MAX_VALUE,
        Float.POSITIVE_INFINITY
    };

    @Test
    void keysRiseWithTheLogitAndFallWithTheToken() {
        for (int i = 0; i < RISING.length; i++) {
            for (int token : new int[] {0, 1, 31_999, Integer.MAX_VALUE}) {
                long key = KeyedLogit.key(RISING[i], token);
                assertEquals(RISING[i], KeyedLogit.logit(key));
                assertEquals(token, KeyedLogit.token(key));
                if (i > 0) {
                    assertTrue(Long.compareUnsigned(key, KeyedLogit.key(RISING[i - 1], 0)) > 0, RISING[i] + "");
                }
                if (token > 0) {
                    assertTrue(Long.compareUnsigned(key, KeyedLogit.key(RISING[i], token - 1)) < 0, token + "");
                }
            }
        }
    }

    @Test
    void minusZeroTiesWithZeroAndNotANumberIsLargest() {
        assertEquals(KeyedLogit.key(0f, 7), KeyedLogit.key(-0f, 7));
        long infinite = KeyedLogit.key(Float.POSITIVE_INFINITY, 0);
        assertTrue(Long.compareUnsigned(KeyedLogit.key(Float.NaN, 9), infinite) > 0);
        assertTrue(Float.isNaN(KeyedLogit.logit(KeyedLogit.key(Float.NaN, 9))));
    }

    @Test
    void sortsTheBestFirstWithinTheRange() {
        long worst = KeyedLogit.key(-2, 0);
        long[] keys = {
            7,
            worst,
            KeyedLogit.key(3, 5),
            KeyedLogit.key(Float.NaN, 1),
            KeyedLogit.key(3, 4),
            KeyedLogit.key(0, Integer.MAX_VALUE),
            8
        };
        long[] expected = {7, keys[3], keys[4], keys[2], keys[5], worst, 8};
        KeyedLogit.sort(keys, 1, 6);
        assertArrayEquals(expected, keys);
    }

    @Test
    void sortsInPlaceAsItSortsOtherwise() {
        SplittableRandom random = new SplittableRandom(4);
        for (int count : new int[] {0, 1, 2, 3, 64, 1000}) {
            long[] keys = new long[count + 1];
            for (int i = 0; i < keys.length; i++) {
                keys[i] = KeyedLogit.key((float) Math.rint(5 * random.nextGaussian()), i);
            }
            long[] expected = keys.clone();
            KeyedLogit.sort(expected, 0, count);
            KeyedLogit.sortInPlace(keys, count);
            assertArrayEquals(expected, keys);
        }
    }
}
