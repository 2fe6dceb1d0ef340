package io.groupreduce.internal.select;

import io.groupreduce.api.Sampling;
import java.util.Arrays;

/**
 * Draws one token from all logits of a hidden state, for distributions so flat that lists of their likeliest tokens would have to be
 * long: in a few passes over N numbers, whatever top-k, top-p and min-p keep. For one thread at a time.
 *
 * <p>The kept tokens are those above a least logit, and of those at it the ones of lowest token. That logit is found by its ordered bits, some at a
 * time from the top: the shares and numbers of tokens in each bucket are added up from the largest down, and only the bucket in which the goal is
 * reached is looked at more closely.
 */
public final class WholeDraw {
    /** Ordered bits that a round tells apart: buckets that stay in the nearest cache. */
    private static final int[] SHIFTS = {21, 10, 0};

    private static final int BUCKETS = 1 << 11;

    private final double[] shares = new double[BUCKETS];
    private final int[] counts = new int[BUCKETS];
    /** Ordered bits of the logits in the bucket at hand. */
    private int[] near = {};

    private float largest;
    private double temperature;
    /** Ordered bits of the least logit kept, and how many tokens at it stay. */
    private int least;

    private long staying;

    /**
     * Draws a token.
     *
     * @param logits of token t at {@code from + t}; negative infinity for tokens that do not count, not all
     * @param count N
     * @param known the sum of {@code exp((logit - largest) / temperature)} over all tokens; NaN if it is not known
     * @return the token
     */
    public int draw(float[] logits, int from, int count, double known, Sampling sampling, long key) {
        largest = Float.NEGATIVE_INFINITY;
        for (int i = from; i < from + count; i++) {
            largest = logits[i] > largest ? logits[i] : largest;
        }
        temperature = sampling.temperature();
        least = KeyedLogit.rising(-Float.MAX_VALUE);
        staying = Long.MAX_VALUE;
        if (sampling.topK() > 0 && sampling.topK() < count) {
            narrow(logits, from, count, sampling.topK(), Double.POSITIVE_INFINITY);
        }
        if (sampling.topP() < 1) {
            boolean all = staying == Long.MAX_VALUE && !Double.isNaN(known);
            double total = all ? known : total(logits, from, count);
            narrow(logits, from, count, Long.MAX_VALUE, sampling.topP() * total);
        }
        return best(logits, from, count, sampling, key);
    }

    private double share(float logit) {
        return Math.exp(((double) logit - largest) / temperature);
    }

    /** Of the tokens that stay. */
    private double total(float[] logits, int from, int count) {
        double sum = 0;
        long tied = staying;
        for (int i = from; i < from + count; i++) {
            int order = Integer.compareUnsigned(KeyedLogit.rising(logits[i]), least);
            if (order > 0 || order == 0 && tied-- > 0) {
                sum += share(logits[i]);
            }
        }
        return sum;
    }

    /** Keeps the fewest likeliest tokens that are {@code most} or have {@code goal} together, if that is fewer than stay. */
    private void narrow(float[] logits, int from, int count, long most, double goal) {
        near = near.length < count ? new int[count] : near;
        int candidates = 0;
        for (int i = from; i < from + count; i++) {
            if (logits[i] > Float.NEGATIVE_INFINITY) {
                near[candidates++] = KeyedLogit.rising(logits[i]);
            }
        }
        double above = 0;
        long tokensAbove = 0;
        int bucket = 0;
        for (int shift : SHIFTS) {
            count(candidates, shift, goal < Double.POSITIVE_INFINITY);
            bucket = BUCKETS - 1;
            int last = -1;
            while (bucket >= 0 && tokensAbove + counts[bucket] < most && above + shares[bucket] < goal) {
                last = counts[bucket] > 0 ? bucket : last;
                tokensAbove += counts[bucket];
                above += shares[bucket];
                bucket--;
            }
            if (bucket < 0) {
                // Rounding: the goal is all there is, and the last bucket with something in it reaches it.
                bucket = last;
                tokensAbove -= counts[bucket];
                above -= shares[bucket];
            }
            candidates = keep(candidates, shift, bucket);
        }
        // All that are left have the same logit.
        double one = shares[bucket] / candidates;
        double needed = Math.min(most - tokensAbove, Math.ceil(Math.min((goal - above) / one, candidates)));
        int order = Integer.compareUnsigned(near[0], least);
        if (order >= 0) {
            long stay = Math.max(1, (long) needed);
            staying = order == 0 ? Math.min(staying, stay) : stay;
            least = near[0];
        }
    }

    private void count(int candidates, int shift, boolean weighted) {
        Arrays.fill(shares, 0);
        Arrays.fill(counts, 0);
        for (int i = 0; i < candidates; i++) {
            int bucket = near[i] >>> shift & BUCKETS - 1;
            counts[bucket]++;
            if (weighted) {
                shares[bucket] += share(KeyedLogit.logit((long) near[i] << Integer.SIZE));
            }
        }
    }

    /** Keeps the candidates of a bucket. */
    private int keep(int candidates, int shift, int bucket) {
        int kept = 0;
        for (int i = 0; i < candidates; i++) {
            if ((near[i] >>> shift & BUCKETS - 1) == bucket) {
                near[kept++] = near[i];
            }
        }
        return kept;
    }

    private int best(float[] logits, int from, int count, Sampling sampling, long key) {
        int best = -1;
        double most = Double.NEGATIVE_INFINITY;
        long tied = staying;
        for (int token = 0; token < count; token++) {
            float logit = logits[from + token];
            int order = Integer.compareUnsigned(KeyedLogit.rising(logit), least);
            if (order < 0 || order == 0 && tied-- <= 0) {
                continue;
            }
            double scaled = ((double) logit - largest) / temperature;
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
