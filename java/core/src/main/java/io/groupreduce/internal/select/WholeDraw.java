package io.groupreduce.internal.select;

import io.groupreduce.api.Sampling;
import java.util.Arrays;

/**
 * Draws one token from all logits of a hidden state, for distributions so flat that lists of their likeliest tokens would have to be
 * long: in a few passes over N numbers, whatever top-k, top-p and min-p keep. For one thread at a time.
 *
 * <p>The kept tokens are those above a least logit, and of those at it the ones of lowest token. That logit is found by the upper and then the
 * lower half of its ordered bits: the shares and numbers of tokens in each bucket are added up from the largest down.
 */
public final class WholeDraw {
    private static final int BUCKETS = 1 << Short.SIZE;

    private final double[] shares = new double[BUCKETS];
    private final int[] counts = new int[BUCKETS];
    /** Ordered bits of the least logit kept, and how many tokens at it stay. */
    private int least;

    private long staying;
    /** What tokens above {@link #least} have together, and how many they are. */
    private double above;

    private long tokensAbove;

    /**
     * Draws a token.
     *
     * @param logits of token t at {@code from + t}; negative infinity for tokens that do not count, not all
     * @param count N
     * @param known the sum of {@code exp((logit - largest) / temperature)} over all tokens; NaN if it is not known
     * @return the token
     */
    public int draw(float[] logits, int from, int count, double known, Sampling sampling, long key) {
        float largest = Float.NEGATIVE_INFINITY;
        for (int i = from; i < from + count; i++) {
            largest = Math.max(largest, logits[i]);
        }
        least = KeyedLogit.rising(-Float.MAX_VALUE);
        staying = Long.MAX_VALUE;
        if (sampling.topK() > 0 && sampling.topK() < count) {
            narrow(logits, from, count, largest, sampling, sampling.topK(), Double.POSITIVE_INFINITY);
        }
        if (sampling.topP() < 1) {
            boolean all = staying == Long.MAX_VALUE && !Double.isNaN(known);
            double total = all ? known : total(logits, from, count, largest, sampling);
            narrow(logits, from, count, largest, sampling, Long.MAX_VALUE, sampling.topP() * total);
        }
        return best(logits, from, count, largest, sampling, key);
    }

    private static double share(float logit, float largest, Sampling sampling) {
        return Math.exp(((double) logit - largest) / sampling.temperature());
    }

    /** Of the tokens that stay. */
    private double total(float[] logits, int from, int count, float largest, Sampling sampling) {
        double sum = 0;
        long tied = staying;
        for (int i = from; i < from + count; i++) {
            int order = Integer.compareUnsigned(KeyedLogit.rising(logits[i]), least);
            if (order > 0 || order == 0 && tied-- > 0) {
                sum += share(logits[i], largest, sampling);
            }
        }
        return sum;
    }

    /** Keeps the fewest likeliest tokens that are {@code most} or have {@code goal} together, if that is fewer than stay. */
    private void narrow(float[] logits, int from, int count, float largest, Sampling sampling, long most, double goal) {
        above = 0;
        tokensAbove = 0;
        int upper = bucket(logits, from, count, largest, sampling, most, goal, -1);
        int lower = bucket(logits, from, count, largest, sampling, most, goal, upper);
        int found = upper << Short.SIZE | lower;
        int order = Integer.compareUnsigned(found, least);
        if (order < 0) {
            return;
        }
        double one = shares[lower] / counts[lower];
        long needed = Math.min(most - tokensAbove, (long) Math.ceil(Math.min((goal - above) / one, counts[lower])));
        staying = order == 0 ? Math.min(staying, Math.max(1, needed)) : Math.max(1, needed);
        least = found;
    }

    /**
     * The bucket in which the goal is reached, coming from the largest.
     *
     * @param upper -1 to look at upper halves, else at the lower halves of those logits
     */
    private int bucket(
            float[] logits, int from, int count, float largest, Sampling sampling, long most, double goal, int upper) {
        Arrays.fill(shares, 0);
        Arrays.fill(counts, 0);
        for (int i = from; i < from + count; i++) {
            int bits = KeyedLogit.rising(logits[i]);
            int half = bits >>> Short.SIZE;
            if (Float.isInfinite(logits[i]) || upper >= 0 && half != upper) {
                continue;
            }
            int bucket = upper >= 0 ? bits & BUCKETS - 1 : half;
            counts[bucket]++;
            if (goal < Double.POSITIVE_INFINITY) {
                shares[bucket] += share(logits[i], largest, sampling);
            }
        }
        int last = 0;
        for (int b = BUCKETS - 1; b >= 0; b--) {
            if (counts[b] > 0) {
                last = b;
                if (tokensAbove + counts[b] >= most || above + shares[b] >= goal) {
                    return b;
                }
                tokensAbove += counts[b];
                above += shares[b];
            }
        }
        // Rounding: the goal is all there is, and the last bucket with something in it has the rest.
        tokensAbove -= counts[last];
        above -= shares[last];
        return last;
    }

    private int best(float[] logits, int from, int count, float largest, Sampling sampling, long key) {
        int best = -1;
        double most = Double.NEGATIVE_INFINITY;
        long tied = staying;
        for (int token = 0; token < count; token++) {
            float logit = logits[from + token];
            int order = Integer.compareUnsigned(KeyedLogit.rising(logit), least);
            if (order < 0 || order == 0 && tied-- <= 0) {
                continue;
            }
            double scaled = ((double) logit - largest) / sampling.temperature();
            int hash = GumbelNoise.hash(key, token);
            // Most tokens lose without a logarithm.
            if (scaled + GumbelNoise.atMost(hash) >= most
                    && (sampling.minP() == 0 || Math.exp(scaled) >= sampling.minP())) {
                double value = scaled + GumbelNoise.of(hash);
                if (value > most) {
                    most = value;
                    best = token;
                }
            }
        }
        return best;
    }
}
