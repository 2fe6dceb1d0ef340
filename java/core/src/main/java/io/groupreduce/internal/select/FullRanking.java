package io.groupreduce.internal.select;

import java.util.Arrays;

/**
 * The best of all logits of one hidden state: for lists so long that keeping them sorted token by token would
 * cost more. The order is that of {@link KeyedLogit}. For one thread at a time.
 */
public final class FullRanking {
    private static final int BUCKET_BITS = 16;

    private final int[] buckets = new int[1 << BUCKET_BITS];
    private long[] keys = {};

    /**
     * Lists the tokens of largest logit, best first, ties to the lower token.
     *
     * @param logits of token t at {@code from + t}
     * @param count N
     * @param k 0 to N
     * @param tokens receives k of them
     * @param best receives their logits
     */
    public void best(float[] logits, int from, int count, int k, int[] tokens, float[] best) {
        int least = k < count ? leastBucket(logits, from, count, k) : 0;
        int chosen = 0;
        if (keys.length < count) {
            keys = new long[count];
        }
        for (int token = 0; token < count; token++) {
            long key = KeyedLogit.key(logits[from + token], token);
            if ((int) (key >>> Long.SIZE - BUCKET_BITS) >= least) {
                keys[chosen++] = key;
            }
        }
        KeyedLogit.sort(keys, 0, chosen);
        for (int place = 0; place < k; place++) {
            int token = KeyedLogit.token(keys[place]);
            tokens[place] = token;
            // Not the key's, which has lost the sign of -0.
            best[place] = logits[from + token];
        }
    }

    /** The largest bucket of upper key bits above and in which there are k logits: the rest need not be sorted. */
    private int leastBucket(float[] logits, int from, int count, int k) {
        Arrays.fill(buckets, 0);
        for (int i = from; i < from + count; i++) {
            buckets[KeyedLogit.rising(logits[i]) >>> Integer.SIZE - BUCKET_BITS]++;
        }
        int bucket = buckets.length - 1;
        for (int found = buckets[bucket]; found < k; found += buckets[bucket]) {
            bucket--;
        }
        return bucket;
    }
}
