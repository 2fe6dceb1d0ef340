package io.groupreduce.cuda.inference;

import java.util.Arrays;

/** The likeliest tokens of one hidden state, best first, ties to the lower token: selected here, or taken over. */
final class Ranking {
    private static final int BUCKET_BITS = 16;

    private long[] keys = new long[0];
    private int[] buckets;
    private float[] logits = new float[0];
    private int[] tokens = new int[0];
    private int count;

    /**
     * Selects from all logits.
     *
     * @param all the logit of every token; may be longer than {@code vocabulary}
     */
    Ranking select(float[] all, int vocabulary, int k) {
        reserve(k);
        if (keys.length < vocabulary) {
            keys = new long[vocabulary];
        }
        int least = k < vocabulary ? leastBucket(all, vocabulary, k) : 0;
        int chosen = 0;
        for (int token = 0; token < vocabulary; token++) {
            long key = KeyedLogit.key(all[token], token);
            if ((int) (key >>> Long.SIZE - BUCKET_BITS) >= least) {
                // Unsigned and falling: complements with the sign turned over sort that way.
                keys[chosen++] = ~key ^ Long.MIN_VALUE;
            }
        }
        Arrays.sort(keys, 0, chosen);
        for (int place = 0; place < k; place++) {
            long key = ~(keys[place] ^ Long.MIN_VALUE);
            tokens[place] = KeyedLogit.token(key);
            logits[place] = all[tokens[place]];
        }
        return this;
    }

    /** The largest bucket of upper key bits above and in which there are k logits, so that the rest need not be sorted. */
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

    /** Room for k places, for a list that was ranked elsewhere. */
    Ranking reserve(int k) {
        count = k;
        if (tokens.length < k) {
            tokens = new int[k];
            logits = new float[k];
        }
        return this;
    }

    /** Places. */
    int count() {
        return count;
    }

    /** Tokens by place; longer than {@link #count}. */
    int[] tokens() {
        return tokens;
    }

    /** Logits by place; longer than {@link #count}. */
    float[] logits() {
        return logits;
    }
}
