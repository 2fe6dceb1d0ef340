package io.groupreduce.internal.select;

/**
 * The noise that draws tokens: the token of largest {@code logit / temperature + g} is distributed as the softmax, when the g are
 * independent draws of the standard Gumbel distribution (Gumbel 1954; Maddison, Tarlow, Minka, "A* Sampling", NeurIPS 2014).
 *
 * <p>g is a function of the seed, the step, and the token, and of nothing else: every backend draws the
 * same tokens, unless two of them tie within its rounding, which the order of a sum or of the groups could never promise for an
 * inverse distribution function. g rises with the hash, so a backend may compare hashes and take logarithms of few.
 */
public final class GumbelNoise {
    /** The largest g of bits with this many leading ones. */
    private static final double[] LARGEST = new double[Integer.SIZE + 1];

    static {
        for (int ones = 0; ones <= Integer.SIZE; ones++) {
            LARGEST[ones] = of(ones == Integer.SIZE ? -1 : ~(Integer.MIN_VALUE >>> ones));
        }
    }

    private GumbelNoise() {}

    /** The key of a draw: the seed and its step mixed to 32 bits, twice. */
    public static long key(long seed, long step) {
        // The seed is mixed first: seeds that are neighbours must not be each other's steps.
        return mix(mix(seed) + (step + 1) * 0x9E3779B97F4A7C15L);
    }

    /** The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
    private static long mix(long value) {
        long z = value;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /** The key under which token 0 has the noise that {@code first} has under {@code key}, and so on. */
    public static long shifted(long key, int first) {
        return key & 0xFFFFFFFF00000000L | (int) key + first * 0x9E3779B1 & 0xFFFFFFFFL;
    }

    /** 32 evenly distributed bits for a token; compare them unsigned. */
    public static int hash(long key, int token) {
        int x = token * 0x9E3779B1 + (int) key;
        x = (x ^ x >>> 16) * 0x85EBCA6B;
        x = (x ^ x >>> 13) * 0xC2B2AE35 + (int) (key >>> 32);
        x = (x ^ x >>> 16) * 0x7FEB352D;
        x = (x ^ x >>> 15) * 0x846CA68B;
        return x ^ x >>> 16;
    }

    /** g of these bits: -log(-log u) with u = (bits + 1/2) / 2^32; from -3.2 to 22.9. */
    public static double of(int hash) {
        double u = ((hash & 0xFFFFFFFFL) + 0.5) * 0x1p-32;
        return -Math.log(-Math.log(u));
    }

    /** At least g of these bits, and no logarithm. */
    public static double atMost(int hash) {
        return LARGEST[Integer.numberOfLeadingZeros(~hash)];
    }
}
