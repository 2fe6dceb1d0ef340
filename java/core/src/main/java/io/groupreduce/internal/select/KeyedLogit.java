package io.groupreduce.internal.select;

import java.util.Arrays;

/**
 * Keys that order logits: the largest first, of equal ones the lower token. Bits of the logit made monotonic, shifted
 * up by 32, and the complement of the token; compared unsigned. {@code gr_key} of the CUDA kernels makes the same ones.
 */
public final class KeyedLogit {
    private KeyedLogit() {}

    /** The key of a token's logit; -0 counts as 0, and NaN as the largest. */
    public static long key(float logit, int token) {
        return (long) rising(logit) << 32 | ~token & 0xFFFFFFFFL;
    }

    /** Bits that rise with the number, compared unsigned; of -0 those of 0, of any NaN the largest. */
    static int rising(float logit) {
        if (Float.isNaN(logit)) {
            return -1;
        }
        // Adding 0 turns -0 into 0.
        int bits = Float.floatToRawIntBits(logit + 0f);
        // Of a negative number all bits turn, of another the highest: without a branch, which nobody could predict.
        return bits ^ (bits >> Integer.SIZE - 1 | Integer.MIN_VALUE);
    }

    /** The token of a key. */
    public static int token(long key) {
        return ~(int) key;
    }

    /** The logit of a key; 0 for -0, and some NaN for NaN. */
    public static float logit(long key) {
        int rising = (int) (key >>> 32);
        return Float.intBitsToFloat(rising < 0 ? rising ^ Integer.MIN_VALUE : ~rising);
    }

    /**
     * Sorts a range of keys, the best first.
     *
     * @throws IndexOutOfBoundsException if the range is not within {@code keys}, parts of which may have changed then
     */
    public static void sort(long[] keys, int from, int to) {
        turn(keys, from, to);
        Arrays.sort(keys, from, to);
        turn(keys, from, to);
    }

    /** Sorts the first {@code count} keys, the best first, by heaps: slower than {@link #sort} where they are many, but no memory is taken. */
    public static void sortInPlace(long[] keys, int count) {
        for (int root = count / 2 - 1; root >= 0; root--) {
            sink(keys, root, count);
        }
        for (int end = count - 1; end > 0; end--) {
            long worst = keys[0];
            keys[0] = keys[end];
            keys[end] = worst;
            sink(keys, 0, end);
        }
    }

    /** Moves a key down until none below it is worse. */
    private static void sink(long[] keys, int from, int end) {
        long key = keys[from];
        int at = from;
        for (int child = 2 * at + 1; child < end; child = 2 * at + 1) {
            if (child + 1 < end && Long.compareUnsigned(keys[child + 1], keys[child]) < 0) {
                child++;
            }
            if (Long.compareUnsigned(keys[child], key) >= 0) {
                break;
            }
            keys[at] = keys[child];
            at = child;
        }
        keys[at] = key;
    }

    /** Turns unsigned and falling into signed and rising, or back: all bits but the highest change. */
    private static void turn(long[] keys, int from, int to) {
        for (int i = from; i < to; i++) {
            keys[i] ^= Long.MAX_VALUE;
        }
    }
}
