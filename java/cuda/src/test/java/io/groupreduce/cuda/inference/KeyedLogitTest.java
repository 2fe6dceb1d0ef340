package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
}
