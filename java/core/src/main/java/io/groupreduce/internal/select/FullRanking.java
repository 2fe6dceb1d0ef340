package io.groupreduce.internal.select;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * All logits of one hidden state, and the best of them: for lists so long that keeping them sorted token by token would
 * cost more. The order is that of {@link KeyedLogit}. For one thread at a time.
 */
public final class FullRanking {
    private static final int BUCKET_BITS = 16;

    private final int vocabulary;
    private final Ranking best = new Ranking();
    private float[] logits;
    private MemorySegment target;
    private long[] keys;
    private int[] buckets;

    /**
     * Takes no memory yet.
     *
     * @param vocabulary tokens
     */
    public FullRanking(int vocabulary) {
        this.vocabulary = vocabulary;
    }

    /** Where the logits go, by token: binary32 [vocabulary], always the same memory, taken at the first call. */
    public MemorySegment target() {
        if (target == null) {
            logits = new float[vocabulary];
            target = MemorySegment.ofArray(logits);
            keys = new long[vocabulary];
            buckets = new int[1 << BUCKET_BITS];
        }
        return target;
    }

    /**
     * Selects from the logits that are in {@link #target}, once that was asked for.
     *
     * @param k 0 to {@code vocabulary}
     * @return one list of k, until the next call
     */
    public Ranking best(int k) {
        int least = k < vocabulary ? leastBucket(k) : 0;
        int chosen = 0;
        for (int token = 0; token < vocabulary; token++) {
            long key = KeyedLogit.key(logits[token], token);
            if ((int) (key >>> Long.SIZE - BUCKET_BITS) >= least) {
                keys[chosen++] = key;
            }
        }
        KeyedLogit.sort(keys, 0, chosen);
        best.reserve(1, k);
        for (int place = 0; place < k; place++) {
            int token = KeyedLogit.token(keys[place]);
            best.tokens()[place] = token;
            // Not the key's, which has lost the sign of -0.
            best.logits()[place] = logits[token];
        }
        return best;
    }

    /** The largest bucket of upper key bits above and in which there are k logits: the rest need not be sorted. */
    private int leastBucket(int k) {
        Arrays.fill(buckets, 0);
        for (int token = 0; token < vocabulary; token++) {
            buckets[KeyedLogit.rising(logits[token]) >>> Integer.SIZE - BUCKET_BITS]++;
        }
        int bucket = buckets.length - 1;
        for (int found = buckets[bucket]; found < k; found += buckets[bucket]) {
            bucket--;
        }
        return bucket;
    }
}
