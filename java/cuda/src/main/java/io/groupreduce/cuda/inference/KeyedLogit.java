package io.groupreduce.cuda.inference;

/**
 * Keys that order logits: the largest first, of equal ones the lower token. The twin of {@code gr_key} of {@code softmax.h}: bits of the
 * logit made monotonic, shifted up by 32, and the complement of the token; compared unsigned.
 */
final class KeyedLogit {
    private KeyedLogit() {}

    /** The key of a token's logit; -0 counts as 0, and NaN as the largest. */
    static long key(float logit, int token) {
        return (long) rising(logit) << 32 | ~token & 0xFFFFFFFFL;
    }

    /** Bits that rise with the number, compared unsigned. */
    static int rising(float logit) {
        if (Float.isNaN(logit)) {
            return -1;
        }
        // Adding 0 turns -0 into 0.
        int bits = Float.floatToRawIntBits(logit + 0f);
        return bits < 0 ? ~bits : bits | Integer.MIN_VALUE;
    }

    /** The token of a key. */
    static int token(long key) {
        return ~(int) key;
    }

    /** The logit of a key. */
    static float logit(long key) {
        int rising = (int) (key >>> 32);
        return Float.intBitsToFloat(rising < 0 ? rising ^ Integer.MIN_VALUE : ~rising);
    }
}
