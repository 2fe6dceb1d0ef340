package io.groupreduce.internal.select;

import java.util.Arrays;

/**
 * The likeliest tokens of one hidden state, best first, ties to the lower token: selected here, or taken over. The
 * order is that of {@link KeyedLogit}.
 */
public final class Ranking {
    private static final int BUCKET_BITS = 16;

    private long[] keys = new long[0];
    private int[] buckets;
    private float[] logits = new float[0];
    private int[] tokens = new int[0];
    private int count;

    /**
     * Selects from all logits.
     *
     * @param all the logit of every token [vocabulary]; may be longer
     * @param k 0 to {@code vocabulary}
     * @return this, of k places
     */
    public Ranking select(float[] all, int vocabulary, int k) {
        reserve(k);
        if (keys.length < vocabulary) {
            keys = new long[vocabulary];
        }
        int least = k < vocabulary ? leastBucket(all, vocabulary, k) : 0;
        int chosen = 0;
        for (int token = 0; token < vocabulary; token++) {
            long key = KeyedLogit.key(all[token], token);
            if ((int) (key >>> Long.SIZE - BUCKET_BITS) >= least) {
                keys[chosen++] = key;
            }
        }
        KeyedLogit.sort(keys, 0, chosen);
        for (int place = 0; place < k; place++) {
            tokens[place] = KeyedLogit.token(keys[place]);
            // Not the key's, which has lost the sign of -0.
            logits[place] = all[tokens[place]];
        }
        return this;
    }

    /** The largest bucket of upper key bits above and in which there are k logits: the rest need not be sorted. */
    private int leastBucket(float[] all, int vocabulary, int k) {
        if (buckets == null) {
            buckets = new int[1 << BUCKET_BITS];
        }
        Arrays.fill(buckets, 0);
        for (int token = 0; token < vocabulary; token++) {
            buckets[KeyedLogit.rising(all[token]) >>> Integer.SIZE - BUCKET_BITS]++;
        }
        int bucket = buckets.length - 1;
        for (int found = buckets[bucket]; found < k; found += buckets[bucket]) {
            bucket--;
        }
        return bucket;
    }

    /**
     * Room for k places, for a list that was ranked elsewhere.
     *
     * @return this, of k places, which {@link #tokens} and {@link #logits} are to be filled with
     */
    public Ranking reserve(int k) {
        count = k;
        if (tokens.length < k) {
            tokens = new int[k];
            logits = new float[k];
        }
        return this;
    }

    /** Places. */
    public int count() {
        return count;
    }

    /** Tokens by place [count]; may be longer. */
    public int[] tokens() {
        return tokens;
    }

    /** Logits by place [count]; may be longer. */
    public float[] logits() {
        return logits;
    }

    /**
     * Copies all places.
     *
     * @param targetTokens [at + count]; may be longer
     * @param targetLogits [at + count]; may be longer
     * @throws IndexOutOfBoundsException if one of them is shorter
     */
    public void copyTo(int[] targetTokens, float[] targetLogits, int at) {
        System.arraycopy(tokens, 0, targetTokens, at, count);
        System.arraycopy(logits, 0, targetLogits, at, count);
    }
}
