package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TokenSetTest {
    @Test
    void aSetHoldsWhatItWasGiven() {
        BitSet bits = new BitSet();
        bits.set(3);
        bits.set(64);
        for (TokenSet set : List.of(TokenSet.of(64, 3, 3), TokenSet.of(bits), TokenSet.ofWords(8, 1, 0))) {
            assertTrue(set.contains(3) && set.contains(64));
            assertFalse(set.contains(2) || set.contains(0) || set.contains(128) || set.contains(-1));
            assertEquals(64, set.largestNamed());
        }
        TokenSet rest = TokenSet.allExcept(3, 64);
        assertFalse(rest.contains(3) || rest.contains(64) || rest.contains(-1));
        assertTrue(rest.contains(0) && rest.contains(1_000_000));
        assertEquals(TokenSet.of(3, 64), TokenSet.of(bits));
        assertEquals(TokenSet.of(3, 64), TokenSet.ofWords(8, 1, 0));
        assertNotEquals(TokenSet.of(3, 64), rest);
        assertEquals(-1, TokenSet.of().largestNamed());
        assertFails(InvalidDataException.class, () -> TokenSet.of(1, -2), -2);
        assertFails(InvalidDataException.class, () -> TokenSet.allExcept(-1), -1);
    }

    @Test
    void twoSetsHaveInCommonWhatIsInBoth() {
        Random random = new Random(5);
        for (int round = 0; round < 40; round++) {
            int[] tokens = random.ints(40, 0, 300).toArray();
            int[] others = random.ints(40, 0, 100 + 5 * round).toArray();
            for (TokenSet set : List.of(TokenSet.of(tokens), TokenSet.allExcept(tokens))) {
                for (TokenSet other : List.of(TokenSet.of(others), TokenSet.allExcept(others))) {
                    TokenSet common = set.and(other);
                    for (int token = 0; token < 500; token++) {
                        assertEquals(set.contains(token) && other.contains(token), common.contains(token));
                    }
                    assertEquals(common, other.and(set));
                }
            }
        }
        assertEquals(TokenSet.of(), TokenSet.of(1, 70).and(TokenSet.of(2, 71)));
        assertEquals(TokenSet.allExcept(1, 70), TokenSet.allExcept(1).and(TokenSet.allExcept(70)));
    }

    @Test
    void anyPartIsCopiedWithNothingBeyondIt() {
        Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            int[] tokens = random.ints(random.nextInt(60), 0, 400).toArray();
            TokenSet set = round % 2 == 0 ? TokenSet.of(tokens) : TokenSet.allExcept(tokens);
            int first = random.nextInt(300);
            int count = 1 + random.nextInt(300);
            long[] target = random.longs(8).toArray();
            int in = set.copyTo(target, first, count);
            int expected = 0;
            for (int i = 0; i < 64 * TokenSet.wordsOf(count); i++) {
                boolean bit = (target[i >> 6] >>> i & 1) != 0;
                assertEquals(i < count && set.contains(first + i), bit, "token " + (first + i));
                expected += bit ? 1 : 0;
            }
            assertEquals(expected, in);
            TokenSet other = TokenSet.of(random.ints(random.nextInt(60), 0, 400).toArray());
            int left = other.removeFrom(target, first, count);
            for (int i = 0; i < count; i++) {
                boolean bit = (target[i >> 6] >>> i & 1) != 0;
                assertEquals(set.contains(first + i) && !other.contains(first + i), bit, "token " + (first + i));
                left -= bit ? 1 : 0;
            }
            assertEquals(0, left);
        }
    }
}
